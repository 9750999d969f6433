"""The life of a job: create, cancel, retry, settle, recover. Every change is a conditional update."""

import time
from dataclasses import asdict
from typing import Any

from celery import current_app
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.jobs import streams
from apps.jobs.models import Job
from apps.jobs.signals import JobRefused, job_asked, job_ended
from contracts import names
from contracts.messages import JobRequest

_OPEN = (Job.State.QUEUED, Job.State.RUNNING)
_LOG_LINES = 400  # the end of the log that is kept in the database
_HEARTBEAT = 10.0  # a worker silent for so long is dead; it writes four times a second
_CLAIM_TIME = 5.0  # a message is lost when nobody took it for so long and the queue is empty


@transaction.atomic
def create(
    *, kind: str, title: str, arguments: dict[str, Any], actor: AbstractBaseUser | None, address: str | None = None
) -> Job:
    """Store a job, send it to worker-train on commit, say so in the audit log. Raises what a receiver of
    `job_asked` raises."""
    job = Job.objects.create(
        kind=kind, title=title[:200], arguments=arguments, created_by_id=actor.pk if actor else None
    )
    job_asked.send(sender=Job, job=job)
    record(action="job.create", target=job, actor=actor, address=address, kind=kind)
    transaction.on_commit(lambda: _send(job))
    return job


@transaction.atomic
def cancel(*, job: Job, actor: AbstractBaseUser | None, address: str | None = None) -> bool:
    """Ask for the end of a job; one that nobody has begun ends at once. False when it is over already."""
    job.refresh_from_db()
    if job.is_over:
        return False
    record(action="job.cancel", target=job, actor=actor, address=address)
    transaction.on_commit(lambda: _cancel(str(job.pk), job.attempt))
    return True


@transaction.atomic
def retry(*, job: Job, actor: AbstractBaseUser | None, address: str | None = None) -> bool:
    """Do a failed or cancelled job again as its next attempt; False when it is neither. Raises as `create`
    does."""
    again = Job.objects.filter(pk=job.pk, attempt=job.attempt, state__in=[Job.State.FAILED, Job.State.CANCELLED])
    attempt = job.attempt + 1
    if not again.update(
        state=Job.State.QUEUED, attempt=attempt, stage="", fraction=0, reason="", result={}, details={}, log="",
        started_at=None, ended_at=None,
    ):  # fmt: skip
        return False
    job.refresh_from_db()
    job_asked.send(sender=Job, job=job)
    record(action="job.retry", target=job, actor=actor, address=address, attempt=attempt)
    transaction.on_commit(lambda: _send(job))
    return True


def settle(*, job_id: str) -> None:
    """Store how the job ended and tell who listens, in one transaction. Idempotent."""
    job = Job.objects.filter(pk=job_id, state__in=_OPEN).first()
    state = streams.record(job_id)
    if job is None or state is None or state.attempt != job.attempt:
        return
    ending = streams.ending(job_id)
    if not ending.is_over:
        return
    try:
        with transaction.atomic():
            _store(job, ending)
    except JobRefused as refused:
        ending.error = {"type": "refused", "message": str(refused)}
        _store(job, ending)
    streams.expire(job_id)


def recover(*, now: float | None = None) -> None:
    """Look at every open job: show its progress, settle what has ended, fail what its worker left behind, send
    again what got lost on the way."""
    now = now or time.time()
    for job in Job.objects.filter(state__in=_OPEN):
        _recover(job, streams.record(str(job.pk)), now)


def _recover(job: Job, state: streams.Record | None, now: float) -> None:
    job_id = str(job.pk)
    if state is None and job.state == Job.State.RUNNING:
        _interrupt(job)
    elif state is None or state.attempt < job.attempt:
        if now - job.created_at.timestamp() > _CLAIM_TIME:  # its creator may be about to send it
            _send(job)
    elif state.state == "done":
        settle(job_id=job_id)
    elif state.state == "running" and now - state.seen > _HEARTBEAT:
        streams.fail(job_id, state.attempt, "interrupted", _interrupted(job))
        settle(job_id=job_id)
    elif state.state == "running":
        _show(job, state)
    elif now - state.seen > _CLAIM_TIME and not streams.queue_length():
        _send_message(job)


def _store(job: Job, ending: streams.Ending) -> None:
    kind = ending.error.get("type", "")
    state = Job.State.CANCELLED if kind == "cancelled" else Job.State.FAILED if kind else Job.State.SUCCEEDED
    changed = Job.objects.filter(pk=job.pk, attempt=job.attempt, state__in=_OPEN).update(
        state=state, reason=ending.error.get("message", ""), result=ending.result, ended_at=timezone.now(),
        details=asdict(ending.details), log="\n".join(ending.lines[-_LOG_LINES:]),
        **({"fraction": 1.0} if not kind else {}),
    )  # fmt: skip
    if changed:
        job.refresh_from_db()
        job_ended.send(sender=Job, job=job)


def _show(job: Job, state: streams.Record) -> None:
    Job.objects.filter(pk=job.pk, attempt=state.attempt, state__in=_OPEN).update(
        state=Job.State.RUNNING, started_at=job.started_at or timezone.now(),
        stage=str(state.progress.get("stage", ""))[:200], fraction=state.progress.get("fraction", 0.0),
    )  # fmt: skip


def _interrupt(job: Job) -> None:
    """Redis has lost the job: there is nothing to read, and its worker gives up by itself."""
    _store(job, streams.Ending(error={"type": "interrupted", "message": _interrupted(job)}, is_over=True))


def _interrupted(job: Job) -> str:
    if job.has_checkpoints:
        return _(
            "The job was interrupted: its worker has stopped. Try again: it goes on from its last checkpoint, if any."
        )
    return _("The job was interrupted: its worker has stopped. Nothing of it is left; try again.")


def _cancel(job_id: str, attempt: int) -> None:
    state = streams.record(job_id)
    if state is not None and state.state == "running":
        streams.ask_to_cancel(job_id)
    else:
        streams.fail(job_id, attempt, "cancelled", "The job was cancelled.")
        settle(job_id=job_id)


def _send(job: Job) -> None:
    request = JobRequest(
        job_id=str(job.pk), kind=job.kind, arguments=job.arguments, attempt=job.attempt,
        memory_limit=settings.JOB_MEMORY_LIMIT_GB * 2**30, time_limit=settings.JOB_TIME_LIMIT,
    )  # fmt: skip
    streams.save(request)
    _send_message(job)


def _send_message(job: Job) -> None:
    current_app.send_task(
        names.RUN_JOB_TASK, args=[str(job.pk), job.attempt], queue=names.TRAIN_QUEUE, ignore_result=True
    )
