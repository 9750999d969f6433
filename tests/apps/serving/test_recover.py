"""What happens to requests when workers die."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from apps.accounts.models import User
from apps.serving import connection, reconcile, recovery, requests, services, stats
from apps.serving.signals import request_settled
from contracts import names
from contracts.messages import InferenceRequest
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db


def make_request(text: str = "one two three four", **fields: object) -> InferenceRequest:
    now = time.time()
    values = {
        "request_id": services.new_request_id(),
        "deployment": "echo",
        "revision": "echo@1",
        "task": "text-generation",
        "inputs": {"messages": [{"role": "user", "content": text}]},
        "arrival_time": now,
        "deadline": now + 60,
    }
    return InferenceRequest(**{**values, **fields})  # type: ignore[arg-type]


def wait_for_tokens(request_id: str, count: int) -> None:
    for _ in range(500):
        if len(requests.transcript(request_id).token_ids) >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"{request_id} has {requests.transcript(request_id)}")


@pytest.fixture
def half_done(worker: FakeWorker) -> InferenceRequest:
    """A request of which two words are streamed when its worker stops to move."""
    request = make_request()
    requests.save(request, owner="1")
    worker.engine.pause = 0.05
    worker.serve(request)
    wait_for_tokens(request.request_id, 2)
    worker.engine.gate.clear()
    return request


def test_live_worker_keeps_its_request(worker: FakeWorker, half_done: InferenceRequest) -> None:
    assert recovery.recover() == []


def test_request_of_dead_worker_goes_on_where_it_stopped(worker: FakeWorker, half_done: InferenceRequest) -> None:
    worker.lose_lease()
    assert recovery.recover() == [half_done.request_id]
    worker.engine.gate.set()
    worker.finish()
    result = requests.transcript(half_done.request_id)
    assert (result.text, result.token_ids) == ("one two three four", [0, 1, 2, 3])
    assert result.outcome["finish_reason"] == "stop"
    resumed = worker.engine.seen[-1]
    assert (resumed.attempt, resumed.resume_text_length) == (2, len("one two"))
    assert [request.attempt for request in worker.engine.seen] == [1, 2]


def test_request_goes_on_at_another_worker(worker: FakeWorker, half_done: InferenceRequest) -> None:
    other = FakeWorker(worker.host.client, worker.settle).start()
    worker.lose_lease()
    reconcile.reconcile()
    other.follow()
    record = requests.live_records()[0]
    resumed = requests.retry(record)
    assert resumed is not None
    other.serve(resumed)
    other.finish()
    worker.engine.gate.set()  # the first worker comes back and must not be heard
    worker.finish()
    result = requests.transcript(half_done.request_id)
    assert (result.text, result.token_ids) == ("one two three four", [0, 1, 2, 3])


def test_worker_that_comes_back_from_the_dead_writes_nothing(worker: FakeWorker, half_done: InferenceRequest) -> None:
    streams = worker.host.streams
    record = requests.live_records()[0]
    resumed = requests.retry(record)
    assert resumed is not None and resumed.attempt == 2
    before = requests.transcript(half_done.request_id)
    worker.engine.gate.set()  # the zombie goes on with attempt 1
    worker.wait()
    assert requests.transcript(half_done.request_id) == before
    assert streams.claim(half_done.request_id, 1) is None
    assert streams.claim(half_done.request_id, 2) is not None


def test_two_recoveries_at_once_send_once(worker: FakeWorker, half_done: InferenceRequest) -> None:
    record = requests.live_records()[0]
    assert requests.retry(record) is not None
    assert requests.retry(record) is None


def test_lost_message_is_sent_again(worker: FakeWorker) -> None:
    request = make_request(arrival_time=time.time() - 30)
    requests.save(request, owner="1")
    assert recovery.recover() == [request.request_id]
    worker.finish()
    assert requests.transcript(request.request_id).text == "one two three four"


def test_message_that_waits_in_the_queue_is_not_sent_again(worker: FakeWorker) -> None:
    request = make_request(arrival_time=time.time() - 30)
    requests.save(request, owner="1")
    worker.host.client.rpush(names.queue_name("echo@1"), "message")
    assert recovery.recover() == []


def test_fresh_request_is_left_alone(worker: FakeWorker) -> None:
    requests.save(make_request(), owner="1")
    assert recovery.recover() == []


def test_request_past_its_deadline_is_ended(worker: FakeWorker) -> None:
    request = make_request(arrival_time=time.time() - 30, deadline=time.time() - 1)
    requests.save(request, owner="1")
    assert recovery.recover() == []
    assert requests.transcript(request.request_id).error["type"] == "deadline_exceeded"
    assert requests.live_records() == []


def test_finished_request_nobody_settled_is_settled(worker: FakeWorker) -> None:
    request = make_request("hello")
    requests.save(request, owner="1")
    worker.serve(request)
    worker.wait()
    heard: list[tuple[str, str]] = []

    def hear(request_id: str, transcript: requests.Transcript, **kwargs: object) -> None:
        heard.append((request_id, transcript.text))

    request_settled.connect(hear)
    try:
        recovery.recover()
    finally:
        request_settled.disconnect(hear)
    assert heard == [(request.request_id, "hello")]
    assert requests.live_records() == []


def test_submitted_in_a_transaction_that_fails_nothing_is_sent(worker: FakeWorker, owner: User) -> None:
    from django.db import transaction

    request = make_request()
    with pytest.raises(RuntimeError), transaction.atomic():
        services.submit(request=request, owner_id=owner.pk)
        raise RuntimeError
    assert [record.state for record in requests.live_records()] == ["reserved"]
    assert recovery.recover(now=time.time() + recovery.CLAIM_TIME + 1) == []
    assert recovery.recover(now=time.time() + recovery.RESERVE_TIME + 1) == []
    assert (requests.live_records(), requests.live_count("echo@1")) == ([], 0)
    assert worker.sent == []


def test_request_in_the_queue_of_a_dead_worker_goes_to_another(worker: FakeWorker) -> None:
    request = make_request()
    queue = names.queue_name("echo@1", "dead")
    requests.save(request, owner="1", queue=queue)
    worker.host.client.rpush(queue, "message")
    assert recovery.recover() == [request.request_id]
    worker.finish()
    assert requests.transcript(request.request_id).text == "one two three four"


def test_request_that_was_handed_back_is_sent_again_at_once(worker: FakeWorker) -> None:
    request = make_request()
    requests.save(request, owner="1")
    worker.host.streams.claim(request.request_id, 1)
    worker.host.streams.hand_back(request.request_id)
    assert recovery.recover() == [request.request_id]
    worker.finish()
    assert requests.transcript(request.request_id).text == "one two three four"


def test_waiting_request_of_a_stopped_revision_goes_to_the_one_that_serves(worker: FakeWorker) -> None:
    worker.engine.gate.clear()  # what is sent again is not over before it is looked at
    request = make_request(revision="echo@7")
    requests.save(request, owner="1")
    worker.host.client.rpush(names.queue_name("echo@7"), "message")
    assert recovery.recover() == [request.request_id]
    payload = requests.payload_of(request.request_id)
    assert payload is not None and payload.revision == "echo@1"
    assert (requests.live_count("echo@7"), requests.live_count("echo@1")) == (0, 1)
    worker.engine.gate.set()
    worker.finish()


def test_begun_request_of_a_stopped_revision_ends_with_an_error(
    worker: FakeWorker, half_done: InferenceRequest
) -> None:
    connection.client().hset(
        names.request_key(half_done.request_id), "payload", replace(half_done, revision="echo@7").to_json()
    )
    worker.lose_lease()
    assert recovery.recover() == []
    error = requests.transcript(half_done.request_id).error
    assert error["message"] == "The model that was answering has been withdrawn. Ask again."
    assert requests.live_records() == []


def test_request_that_ends_every_worker_is_given_up(worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "send", lambda request: None)  # the messages reach nobody but us
    request = make_request()
    requests.save(request, owner="1")
    for attempt in range(1, recovery.MAX_WASTED + 2):
        assert worker.host.streams.claim(request.request_id, attempt)
        connection.client().hset(names.request_key(request.request_id), "worker", "dead")
        recovery.recover()
    error = requests.transcript(request.request_id).error
    assert error["message"] == "5 workers ended while they served this request."
    assert requests.live_count("echo@1") == 0


def test_who_waits_is_told_place_and_seconds(worker: FakeWorker) -> None:
    waiting = [make_request(arrival_time=time.time() + place) for place in range(3)]
    for request in waiting:
        requests.save(request, owner="1")
    for _ in range(30):
        stats.add({"echo@1": stats.measured(times={"latency": 0.1})})
    recovery.recover()
    told = [client_entries(request.request_id)[-1] for request in waiting]
    assert told == [("progress", {"position": place, "seconds": 2.0 * (place + 1)}) for place in range(3)]
    worker.serve(waiting[0])
    worker.finish()
    assert requests.transcript(waiting[0].request_id).text == "one two three four"


def client_entries(request_id: str) -> list[tuple[str, dict[str, object]]]:
    rows = connection.client().xrange(names.stream_key(request_id))
    return [(fields["event"], json.loads(fields["data"])) for _, fields in rows]


def test_the_last_place_is_given_once(worker: FakeWorker) -> None:
    first, second = make_request(), make_request()
    with ThreadPoolExecutor(2) as pool:
        saved = list(pool.map(lambda one: requests.save(one, owner="1", limit=1), (first, second)))
    assert sorted(saved) == [False, True]
    assert requests.live_count("echo@1") == 1


def test_ended_requests_are_settled_in_one_go_and_counted_once(worker: FakeWorker) -> None:
    sent = [make_request("hello") for _ in range(3)]
    for request in sent:
        requests.save(request, owner="1")
        worker.serve(request)
    worker.wait()
    assert services.settle_ended() == 3
    assert services.settle_all([request.request_id for request in sent]) == 0
    figures = stats.over(["echo@1"])["echo@1"]
    assert (figures.requests, figures.errors, figures.counters["prompt_tokens"]) == (3, 0, 9)
    assert (requests.live_records(), requests.live_count("echo@1")) == ([], 0)
