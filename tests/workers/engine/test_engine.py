"""What a request gets, on the fake backend: every token is the one before plus one."""

from __future__ import annotations

import dataclasses
import json

import pytest

from contracts.messages import ErrorType, FinishReason
from workers.backends.fake import FakeBackend
from workers.engine.engine import EngineClosed

from .conftest import EOS


def text(start: int, count: int) -> str:
    return bytes(range(start, start + count)).decode()


def test_a_request_streams_and_is_done(bench):
    future = bench.submit("a", [64, 65], params={"max_tokens": 3}, arrival_time=998.0)
    bench.run()

    assert bench.kinds("a")[0] == "started"
    assert bench.kinds("a")[-1] == "done"
    assert set(bench.kinds("a")[1:-1]) == {"delta"}
    assert bench.sink.of("a")[0].data == {
        "prompt_tokens": 2,
        "cached_tokens": 0,
        "context_length": 256,
        "queue_time": 2.0,
    }
    assert bench.sink.text("a") == "BCD"
    assert bench.token_ids("a") == [66, 67, 68]
    outcome = future.result(0)
    assert (outcome.finish_reason, outcome.prompt_tokens, outcome.completion_tokens) == ("length", 2, 3)
    assert outcome.queue_time == 2.0
    assert bench.last("a") == json.loads(outcome.to_json())
    assert bench.engine._cache.held == 0


def test_end_of_sequence_is_among_the_ids_and_not_in_the_text(bench):
    bench.submit("a", [EOS - 3])
    bench.run()

    assert bench.token_ids("a") == [EOS - 2, EOS - 1, EOS]
    assert bench.last("a")["finish_reason"] == "stop"
    assert bench.sink.text("a") == "\ufffd"  # byte 255 is no character


def test_ignored_end_of_sequence_goes_on(bench):
    bench.submit("a", [EOS - 1], params={"ignore_eos": True, "max_tokens": 4})
    bench.run()

    assert bench.token_ids("a") == [EOS, EOS + 1, EOS + 2, 0]


def test_a_stop_string_across_tokens_ends_the_text_before_it(bench):
    future = bench.submit("a", [64], params={"stop": ["DEF"], "max_tokens": 50})
    bench.run()

    assert bench.sink.text("a") == "ABC"
    assert bench.token_ids("a") == [65, 66, 67, 68, 69, 70]
    assert future.result(0).finish_reason == FinishReason.STOP
    assert future.result(0).completion_tokens == 6


def test_the_last_text_held_back_comes_with_the_end(bench):
    bench.submit("a", [64], params={"stop": ["CDX"], "max_tokens": 4})
    bench.run()

    assert bench.sink.text("a") == "ABCD"
    assert bench.token_ids("a") == [65, 66, 67, 68]


def test_logprobs_only_when_asked(bench):
    bench.submit("a", [64], params={"logprobs": 2, "max_tokens": 1})
    bench.submit("b", [64], params={"max_tokens": 1})
    bench.run()

    asked = [event.data for event in bench.sink.of("a") if "logprobs" in event.data]
    entry = asked[0]["logprobs"][0]
    assert (entry["token_id"], entry["token"], entry["bytes"]) == (65, "A", [65])
    assert [other["token_id"] for other in entry["top_logprobs"]][0] == 65
    assert len(entry["top_logprobs"]) == 2
    assert not any("logprobs" in event.data for event in bench.sink.of("b"))


def test_experts_of_a_mixture_come_with_the_logprobs_of_their_token(make_bench):
    bench = make_bench(experts=8)
    bench.submit("a", [60, 64], params={"logprobs": 0, "max_tokens": 3})
    bench.submit("b", [71], params={"logprobs": 0, "max_tokens": 3})
    bench.submit("c", [64], params={"max_tokens": 3})
    bench.run()

    found = {name: [entry["experts"] for event in bench.sink.of(name) for entry in event.data.get("logprobs", [])]
             for name in ("a", "b", "c")}  # fmt: skip
    assert found == {"a": [[[0, 1]], [[1, 2]], [[2, 3]]], "b": [[[7, 0]], [[0, 1]], [[1, 2]]], "c": []}


def test_a_prompt_beyond_the_context_is_refused_with_the_counts(make_bench):
    bench = make_bench(context_length=16)
    future = bench.submit("a", list(range(16)), params={"max_tokens": 5})
    bench.run()

    assert bench.kinds("a") == ["error"]
    error = bench.last("a")
    assert error["type"] == ErrorType.CONTEXT_LENGTH_EXCEEDED
    assert (error["prompt_tokens"], error["max_tokens"], error["context_length"]) == (16, 5, 16)
    assert future.result(0).finish_reason == FinishReason.ERROR


def test_max_tokens_is_clamped_to_the_context(make_bench):
    bench = make_bench(context_length=16)
    bench.submit("a", list(range(10, 22)), params={"max_tokens": 100})
    bench.run()

    assert bench.token_ids("a") == [22, 23, 24, 25]
    assert bench.last("a")["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("ids", "params", "reason"),
    [
        ([1], {"temperature": float("nan")}, "temperature"),
        ([1], {"nonsense": 1}, "nonsense"),
        ("no list", {}, "inputs"),
        ([], {}, "empty"),
    ],
)
def test_nonsense_is_refused_by_name(bench, ids, params, reason):
    bench.submit("a", ids, params=params)
    bench.run()

    assert bench.kinds("a") == ["error"]
    assert bench.last("a")["type"] == ErrorType.INVALID_REQUEST
    assert reason in bench.last("a")["message"]


def test_abort_frees_the_slot_at_the_next_step(bench):
    future = bench.submit("a", [64], params={"max_tokens": 100})
    bench.step(3)
    assert bench.engine._cache.held == 1

    assert bench.engine.abort("a")
    bench.step()

    assert bench.engine._cache.held == 0
    assert future.result(0).finish_reason == FinishReason.ABORT
    assert bench.last("a")["completion_tokens"] == len(bench.token_ids("a"))
    assert not bench.engine.abort("a")


def test_abort_of_a_waiting_request(make_bench):
    bench = make_bench(max_batch_size=1)
    bench.submit("a", [64], params={"max_tokens": 5})
    bench.submit("b", [64])
    bench.step(2)
    bench.engine.abort("b")
    bench.run()

    assert bench.kinds("b")[-1] == "done"
    assert bench.last("b")["finish_reason"] == "abort"
    assert bench.last("a")["finish_reason"] == "length"


def test_a_deadline_ends_running_and_waiting_requests(make_bench):
    bench = make_bench(max_batch_size=1)
    bench.submit("a", [64], params={"max_tokens": 100}, deadline=1005.0)
    bench.submit("b", [64], params={"max_tokens": 100}, deadline=1005.0)
    bench.step(3)
    bench.clock.now = 1005.0
    bench.run()

    for request_id in "ab":
        assert bench.kinds(request_id)[-1] == "error"
        assert bench.last(request_id)["type"] == ErrorType.DEADLINE_EXCEEDED
    assert bench.last("a")["outcome"]["completion_tokens"] > 0
    assert bench.engine._cache.held == 0


def test_too_many_waiting_are_turned_away(make_bench):
    bench = make_bench(max_batch_size=1, max_waiting=1)
    for request_id in "abc":
        bench.submit(request_id, [64])
    bench.run()

    assert bench.last("c")["type"] == ErrorType.OVERLOADED
    assert [bench.last(request_id)["finish_reason"] for request_id in "ab"] == ["length", "length"]


def test_the_place_in_the_queue_is_told_when_it_changes(make_bench):
    bench = make_bench(max_batch_size=1, progress_interval=0.0)
    for request_id in "abc":
        bench.submit(request_id, [64], params={"max_tokens": 2})
    bench.run()

    def positions(request_id):
        return [event.data["position"] for event in bench.sink.of(request_id) if event.event == "progress"]

    assert (positions("a"), positions("b"), positions("c")) == ([], [0], [1, 0])


def test_a_fenced_request_disappears_without_a_word(bench):
    future = bench.submit("a", [64], params={"max_tokens": 100})
    other = bench.submit("b", [64])
    bench.step(2)
    bench.sink.fenced.add("a")
    bench.run()

    assert bench.kinds("a")[-1] == "delta"
    assert future.result(0).finish_reason == FinishReason.ABORT
    assert other.result(0).finish_reason == FinishReason.LENGTH
    assert bench.engine._cache.held == 0


def test_a_sink_that_fails_fails_its_requests_and_not_the_engine(bench):
    def write(events):
        raise ConnectionError("gone")

    future = bench.submit("a", [64], params={"max_tokens": 100})
    bench.step()
    good, bench.sink.write = bench.sink.write, write
    bench.step()
    bench.sink.write = good
    bench.submit("b", [64])
    bench.run()

    with pytest.raises(ConnectionError):
        future.result(0)
    assert bench.last("b")["finish_reason"] == "length"
    assert bench.engine._cache.held == 0


def test_a_failing_backend_fails_its_batch_and_not_the_engine(bench):
    bench.submit("a", [64], params={"max_tokens": 100})
    bench.step(2)
    bench.backend.fail = "out of memory"
    bench.run()
    bench.submit("b", [64])
    bench.run()

    assert bench.last("a")["type"] == ErrorType.INTERNAL
    assert "out of memory" not in bench.last("a")["message"]
    assert bench.last("b")["finish_reason"] == "length"
    assert bench.engine.stats().failures == 1


def test_the_same_request_twice_is_one(bench):
    first = bench.submit("a", [64])
    assert bench.submit("a", [64]) is first
    bench.run()

    assert bench.kinds("a").count("done") == 1


def test_a_higher_attempt_replaces_a_lower_one(bench):
    old = bench.submit("a", [64], params={"max_tokens": 6})
    bench.step(2)
    ids, shown = bench.token_ids("a"), bench.sink.text("a")
    new = bench.submit(
        "a", [64], params={"max_tokens": 6}, attempt=2, resume_token_ids=ids, resume_text_length=len(shown)
    )
    bench.run()

    assert old.result(0).finish_reason == FinishReason.ABORT
    assert new.result(0).completion_tokens == 6
    assert bench.token_ids("a") == [65, 66, 67, 68, 69, 70]
    assert bench.sink.text("a") == "ABCDEF"


def test_events_are_json_and_compute_time_is_shared_out(bench):
    for request_id in "abc":
        bench.submit(request_id, [64], params={"logprobs": 1, "temperature": 0.9})
    bench.run()

    for event in bench.sink.events:
        assert json.loads(json.dumps(event.data, allow_nan=False)) == event.data
        assert json.dumps(dataclasses.asdict(event))
    total = sum(bench.last(request_id)["compute_seconds"] for request_id in "abc")
    assert total == pytest.approx(bench.engine.stats().busy_seconds)


def test_threads_serve_and_drain(make_bench):
    bench = make_bench(max_waiting=100)
    bench.engine.start()
    futures = [bench.submit(f"r{index}", [64 + index], params={"max_tokens": 20}) for index in range(20)]
    bench.engine.close(drain=True)

    assert [future.result(0).finish_reason for future in futures] == ["length"] * 20
    assert [bench.sink.text(f"r{index}")[0] for index in range(5)] == list("ABCDE")
    with pytest.raises(EngineClosed):
        bench.submit("late", [1])


def test_close_without_draining_leaves_requests_for_another_worker(make_bench):
    bench = make_bench()
    bench.submit("a", [64], params={"max_tokens": 200})
    future = bench.submit("b", [64], params={"max_tokens": 200})
    bench.step(2)
    bench.engine.close(drain=False)

    assert bench.kinds("b")[-1] == "delta"
    with pytest.raises(EngineClosed):
        future.result(0)


def test_the_fake_is_strict():
    backend = FakeBackend()
    backend.load()
    with pytest.raises(AssertionError, match="hole"):
        backend.prefill(0, [1], 5)
