"""The scripts that write streams: one attempt at a time, in order, and no more after the end."""

import json
import os
import time

import pytest
import redis

from contracts import names
from contracts.messages import Event, InferenceRequest, StreamEvent
from workers.streams import Claimed, RedisStreams


@pytest.fixture
def client():
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def streams(client):
    return RedisStreams(client, "worker-a")


def save(client, request_id="r", attempt=1):
    request = InferenceRequest(request_id, "d", "text-generation", {}, attempt=attempt, arrival_time=time.time())
    client.hset(
        names.request_key(request_id),
        mapping={"payload": request.to_json(), "attempt": attempt, "state": "queued"},
    )
    return request


def entries(client, request_id="r"):
    return [
        (entry_id.decode(), fields[b"event"].decode(), json.loads(fields[b"data"]))
        for entry_id, fields in client.xrange(names.stream_key(request_id))
    ]


def delta(number, request_id="r"):
    return StreamEvent(request_id, Event.DELTA, {"text": str(number), "token_ids": [number]})


def test_claim_succeeds_once(client, streams):
    request = save(client)
    assert streams.claim("r", 1) == Claimed(request, is_stopped=False, size=len(request.to_json()))
    assert streams.claim("r", 1) is None
    assert client.hget(names.request_key("r"), "worker") == b"worker-a"


@pytest.mark.parametrize("attempt", [0, 2, 10])
def test_claim_of_another_attempt_is_refused(client, streams, attempt):
    save(client)
    assert streams.claim("r", attempt) is None


def test_claim_of_what_never_was_is_refused(streams):
    assert streams.claim("nothing", 1) is None


def test_entries_are_numbered_from_one_without_gap(client, streams):
    save(client)
    streams.claim("r", 1)
    assert streams.write([delta(1), delta(2)]) == set()
    assert streams.write([delta(3)]) == set()
    assert [entry[0] for entry in entries(client)] == ["1-0", "2-0", "3-0"]
    assert entries(client)[2] == ("3-0", "delta", {"text": "3", "token_ids": [3]})


def test_several_requests_in_one_write(client, streams):
    for request_id in "ab":
        save(client, request_id)
        streams.claim(request_id, 1)
    streams.write([delta(1, "a"), delta(2, "b"), delta(3, "a")])
    assert [data["text"] for _, _, data in entries(client, "a")] == ["1", "3"]
    assert [data["text"] for _, _, data in entries(client, "b")] == ["2"]


def test_nothing_follows_the_end(client, streams):
    save(client)
    streams.claim("r", 1)
    streams.write([delta(1), StreamEvent("r", Event.DONE, {"finish_reason": "stop"})])
    assert streams.write([delta(2)]) == {"r"}
    assert len(entries(client)) == 2
    assert client.hget(names.request_key("r"), "state") == b"done"


def test_old_attempt_is_fenced_and_the_others_are_not(client, streams):
    for request_id in "ab":
        save(client, request_id)
        streams.claim(request_id, 1)
    client.hset(names.request_key("a"), "attempt", 2)
    assert streams.write([delta(1, "a"), delta(1, "b")]) == {"a"}
    assert entries(client, "a") == []
    assert len(entries(client, "b")) == 1


def test_write_without_a_claim_is_refused(client, streams):
    save(client)
    assert streams.write([delta(1)]) == {"r"}


def test_streams_end_with_their_time_to_live(client, streams):
    save(client)
    streams.claim("r", 1)
    streams.write([delta(1)])
    assert 0 < client.ttl(names.stream_key("r")) <= names.STREAM_TTL
    assert 0 < client.ttl(names.request_key("r")) <= names.STREAM_TTL


def test_a_request_is_known_for_longer_than_its_result(client, streams):
    save(client)
    streams.claim("r", 1)
    streams.write(
        [StreamEvent("r", Event.RESULT, {"data": []}), StreamEvent("r", Event.DONE, {"finish_reason": "stop"})]
    )
    known = client.hmget(names.request_key("r"), "state", "last", "said")
    assert known == [b"done", b"done", b'{"finish_reason":"stop"}']
    kept = [client.ttl(names.request_key("r")), client.ttl(names.stream_key("r"))]
    assert kept == pytest.approx([names.TIMELINE_TTL, names.RESULT_TTL], abs=2)


def test_text_of_any_kind_survives(client, streams):
    save(client)
    streams.claim("r", 1)
    text = '你好 🙂 "quoted" \\ \x00 \u2028 </script>'
    streams.write([StreamEvent("r", Event.DELTA, {"text": text, "token_ids": []})])
    assert entries(client)[0][2]["text"] == text


def test_write_whose_answer_was_lost_is_not_written_twice(client, streams):
    save(client)
    streams.claim("r", 1)
    streams.write([delta(1)])
    streams._claims["r"].seq = 0  # the connection broke before the answer came
    assert streams.write([delta(1)]) == set()
    assert streams.write([delta(2)]) == set()
    assert [data["text"] for _, _, data in entries(client)] == ["1", "2"]


def test_seq_goes_on_behind_what_was_told_while_waiting(client, streams):
    save(client)
    client.hset(names.request_key("r"), "seq", 2)
    streams.claim("r", 1)
    streams.write([delta(1)])
    assert [entry_id for entry_id, _, _ in entries(client)] == ["3-0"]


def test_write_survives_a_server_that_has_forgotten_the_scripts(client, streams):
    save(client)
    streams.claim("r", 1)
    client.script_flush()
    assert streams.write([delta(1)]) == set()
    assert entries(client) == [("1-0", "delta", {"text": "1", "token_ids": [1]})]


def test_ended_request_is_to_be_settled_and_the_first_of_several_wakes(client):
    woken = []
    streams = RedisStreams(client, "worker-a", lambda: woken.append(1))
    for request_id in "ab":
        save(client, request_id)
        streams.claim(request_id, 1)
        streams.write([delta(1, request_id)])
        streams.write([StreamEvent(request_id, Event.DONE, {})])
    assert (client.lrange(names.ENDED_KEY, 0, -1), woken) == ([b"a", b"b"], [1])


def test_answer_that_is_published_wakes_nobody(client):
    woken = []
    streams = RedisStreams(client, "worker-a", lambda: woken.append(1))
    save(client)
    client.hset(names.request_key("r"), "reply", "channel")
    streams.claim("r", 1)
    streams.write([StreamEvent("r", Event.RESULT, {}), StreamEvent("r", Event.DONE, {})])
    assert (client.lrange(names.ENDED_KEY, 0, -1), woken) == ([b"r"], [])
