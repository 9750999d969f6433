"""The life of a job on this side; the worker's side is the real journal, without a process."""

import time

import pytest
import redis
from django.conf import settings

from apps.jobs import services, streams
from apps.jobs.models import Job
from apps.jobs.signals import JobRefused, job_ended
from contracts import names
from contracts.messages import Event
from workers.jobs.journal import Journal, NotOurs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """An empty Redis; messages are noted instead of sent."""
    streams.client().flushdb()
    sent: list[tuple[str, int]] = []
    monkeypatch.setattr(services, "_send_message", lambda job: sent.append((str(job.pk), job.attempt)))
    return sent


@pytest.fixture
def job(owner) -> Job:
    return services.create(kind="probe", title="Try", arguments={"seconds": 1}, actor=owner)


def journal(job: Job) -> Journal:
    return Journal(redis.Redis.from_url(settings.REDIS_URL), str(job.pk), job.attempt, "worker")


def state(job: Job) -> tuple[str, str]:
    job.refresh_from_db()
    return job.state, job.reason


def succeed(job: Job) -> None:
    work = journal(job)
    assert work.claim()
    work.write([(Event.LOG, {"line": "hello"}), (Event.RESULT, {"answer": 1}), (Event.DONE, {})], is_last=True)


def test_a_job_travels_to_its_worker_and_back(job, clean) -> None:
    assert clean == [(str(job.pk), 1)]
    work = journal(job)
    request = work.claim()
    assert (request.kind, request.arguments, request.attempt) == ("probe", {"seconds": 1}, 1)
    assert work.claim() is None
    work.write([(Event.PROGRESS, {"stage": "half", "fraction": 0.5})])
    services.recover()
    assert state(job) == ("RUNNING", "")
    assert (job.stage, job.fraction) == ("half", 0.5)
    work.write([(Event.LOG, {"line": "hello"}), (Event.RESULT, {"answer": 1}), (Event.DONE, {})], is_last=True)
    services.recover()
    assert state(job) == ("SUCCEEDED", "")
    assert (job.result, job.log, job.fraction) == ({"answer": 1}, "hello", 1.0)


def test_the_end_is_told_once(job) -> None:
    heard: list[Job] = []

    def hear(job: Job, **kwargs) -> None:
        heard.append(job)

    job_ended.connect(hear)
    succeed(job)
    services.settle(job_id=str(job.pk))
    services.settle(job_id=str(job.pk))
    job_ended.disconnect(hear)
    assert heard == [job]


def test_a_receiver_may_refuse_the_result(job) -> None:
    def refuse(job: Job, **kwargs) -> None:
        if job.state == Job.State.SUCCEEDED:
            raise JobRefused("not this")

    job_ended.connect(refuse)
    succeed(job)
    services.settle(job_id=str(job.pk))
    job_ended.disconnect(refuse)
    assert state(job) == ("FAILED", "not this")


def test_a_waiting_job_is_cancelled_at_once_and_not_begun(job, owner) -> None:
    assert services.cancel(job=job, actor=owner)
    assert state(job) == ("CANCELLED", "The job was cancelled.")
    assert journal(job).claim() is None
    assert not services.cancel(job=job, actor=owner)


def test_a_running_job_hears_that_it_shall_end(job, owner) -> None:
    work = journal(job)
    work.claim()
    assert work.write([]) is False
    services.cancel(job=job, actor=owner)
    assert work.write([]) is True


def test_a_job_whose_worker_died_can_be_tried_again(job, owner, clean) -> None:
    work = journal(job)
    work.claim()
    services.recover(now=time.time() + 60)
    assert state(job)[0] == "FAILED"
    assert "interrupted" in job.reason
    with pytest.raises(NotOurs):
        work.write([])
    assert services.retry(job=job, actor=owner)
    assert not services.retry(job=Job.objects.get(pk=job.pk), actor=owner)
    assert clean[1:] == [(str(job.pk), 2)]
    succeed(job)
    services.recover()
    assert state(job) == ("SUCCEEDED", "")
    ids = [row[0] for row in streams.client().xrange(names.job_stream_key(str(job.pk)))]
    assert ids == [f"{n}-0" for n in range(1, len(ids) + 1)]


def test_a_lost_message_is_sent_again(job, clean) -> None:
    services.recover()
    services.recover(now=time.time() + 6)
    assert clean == [(str(job.pk), 1)] * 2


def test_redis_that_lost_everything(job, clean) -> None:
    journal(job).claim()
    services.recover()
    streams.client().flushdb()
    services.recover()
    assert state(job)[0] == "FAILED"
    assert "interrupted" in job.reason
