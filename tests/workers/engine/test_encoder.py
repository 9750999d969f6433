"""The engine of encoders: answers, refusals, deadlines, stops, other attempts, several lanes."""

import threading
from typing import Any

import pytest

from contracts.messages import ErrorType, Event, InferenceRequest, Outcome
from workers.engine.cores import Cores
from workers.engine.cost_table import CostTable
from workers.engine.encoder import EncoderConfig, EncoderEngine, Lanes, Prepared
from workers.engine.intake import Refused
from workers.engine.mailbox import EngineClosed
from workers.engine.output import ListSink

pytestmark = pytest.mark.unit
TABLE = CostTable({1: {8: 0.01, 64: 0.08}, 2: {8: 0.015, 64: 0.17}, 4: {8: 0.02, 64: 0.34}}, 64)


class Upper:
    """Its answer is the texts in capitals."""

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        texts = request.inputs["texts"]
        if not texts:
            raise ValueError("texts: is empty")
        for text in texts:
            if len(text) > 64:
                raise Refused(ErrorType.CONTEXT_LENGTH_EXCEEDED, "too long", prompt_tokens=len(text))
        return [Prepared(text, len(text), len(text)) for text in texts]

    def answer(self, request: InferenceRequest, results: list[Any]) -> dict[str, Any]:
        return {"texts": results}


class Lane:
    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.is_closed = False

    def run(self, payloads: list[str]) -> list[str]:
        assert self.gate.wait(10)
        self.batches.append(list(payloads))
        if "poison" in payloads:
            raise RuntimeError("the model failed")
        return [text.upper() for text in payloads]

    def pin(self) -> None: ...

    def close(self) -> None:
        self.is_closed = True


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """An engine that is stepped by hand."""

    def __init__(self, **config: Any) -> None:
        self.lane, self.sink, self.clock = Lane(), ListSink(), Clock()
        self.engine = EncoderEngine(
            Upper(), Lanes([self.lane]), TABLE, self.sink, EncoderConfig(**config), clock=self.clock
        )

    def submit(self, request_id: str, *texts: str, **options: Any) -> Any:
        return self.engine.submit(request(request_id, *texts, **options))

    def run(self) -> None:
        while self.engine.step(self.lane):
            pass
        self.engine._writer.flush()

    def kinds(self, request_id: str) -> list[Event]:
        return [event.event for event in self.sink.of(request_id)]

    def last(self, request_id: str) -> dict[str, Any]:
        return self.sink.of(request_id)[-1].data


def request(request_id: str, *texts: str, **options: Any) -> InferenceRequest:
    return InferenceRequest(request_id, "d", "feature-extraction", {"texts": list(texts)}, **options)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_answer_in_the_order_of_the_texts(bench: Bench) -> None:
    future = bench.submit("a", "one", "three", "seven more", arrival_time=998.0)
    bench.run()
    result, done = bench.sink.of("a")
    assert (result.event, result.data) == (Event.RESULT, {"texts": ["ONE", "THREE", "SEVEN MORE"]})
    assert (done.event, done.data["finish_reason"], done.data["prompt_tokens"]) == (Event.DONE, "stop", 18)
    assert future.result().queue_time == 2.0
    assert future.result().compute_seconds > 0
    assert bench.engine.stats().waiting == 0


def test_requests_share_batches(bench: Bench) -> None:
    for name in "abcd":
        bench.submit(name, f"text {name}")
    bench.run()
    assert bench.lane.batches == [["text a", "text b", "text c", "text d"]]
    assert [bench.sink.of(name)[0].data["texts"] for name in "abcd"] == [[f"TEXT {name.upper()}"] for name in "abcd"]
    assert sum(bench.engine.stats().__getattribute__(name) for name in ("steps", "items")) == 5


def test_compute_is_shared_out(bench: Bench) -> None:
    futures = [bench.submit(name, "text") for name in "ab"]
    bench.run()
    shares = [future.result().compute_seconds for future in futures]
    assert shares[0] == pytest.approx(shares[1])
    assert sum(shares) == pytest.approx(bench.engine.stats().busy_seconds)


def test_bad_item_fails_its_own_request_only(bench: Bench) -> None:
    bench.submit("bad", "poison", "water")
    bench.submit("good", "bread")
    bench.run()
    assert bench.kinds("bad") == [Event.ERROR]
    assert bench.last("bad")["type"] == ErrorType.INTERNAL
    assert bench.kinds("good") == [Event.RESULT, Event.DONE]
    assert bench.engine.stats() == bench.engine.stats().__class__(
        **{name: getattr(bench.engine.stats(), name) for name in bench.engine.stats().__slots__}
        | {"running": 0, "waiting": 0, "failures": 1}
    )


@pytest.mark.parametrize(
    ("texts", "kind"), [((), ErrorType.INVALID_REQUEST), (("x" * 65,), ErrorType.CONTEXT_LENGTH_EXCEEDED)]
)
def test_what_cannot_be_served_is_refused(bench: Bench, texts: tuple[str, ...], kind: ErrorType) -> None:
    future = bench.submit("a", *texts)
    bench.run()
    assert bench.kinds("a") == [Event.ERROR]
    assert bench.last("a")["type"] == kind
    assert future.result().finish_reason == "error"


@pytest.mark.parametrize("config", [{"max_waiting": 2}, {"max_waiting_items": 2}])
def test_queue_is_bounded(config: dict[str, int]) -> None:
    bench = Bench(**config)
    for name in "abc":
        bench.submit(name, "text")
    bench.run()
    assert [bench.kinds(name)[-1] for name in "abc"] == [Event.DONE, Event.DONE, Event.ERROR]
    assert bench.last("c")["type"] == ErrorType.OVERLOADED


def test_deadline_ends_who_waits(bench: Bench) -> None:
    late = bench.submit("late", "text", deadline=1001.0)
    bench.submit("patient", "text")
    bench.clock.now = 1001.5
    bench.run()
    assert bench.last("late")["type"] == ErrorType.DEADLINE_EXCEEDED
    assert late.result().finish_reason == "error"
    assert bench.kinds("patient") == [Event.RESULT, Event.DONE]
    assert bench.lane.batches == [["text"]]


def test_abort_takes_everything_out(bench: Bench) -> None:
    future = bench.submit("a", "one", "two")
    assert bench.engine.abort("a")
    assert not bench.engine.abort("a")
    bench.run()
    assert bench.kinds("a") == [Event.DONE]
    assert future.result().finish_reason == "abort"
    assert bench.lane.batches == []


def test_same_attempt_is_the_same_and_a_higher_one_takes_over(bench: Bench) -> None:
    first = bench.submit("a", "text")
    assert bench.submit("a", "text") is first
    second = bench.submit("a", "text", attempt=2)
    bench.run()
    assert first.result().finish_reason == "abort"
    assert second.result().finish_reason == "stop"
    assert bench.kinds("a") == [Event.RESULT, Event.DONE]


def test_waiting_requests_hear_their_position(bench: Bench) -> None:
    for place in range(3):
        bench.submit(f"r{place}", "x" * 60, arrival_time=999.0)
    bench.engine.step(bench.lane)
    bench.engine._writer.flush()
    assert [event.data["position"] for event in bench.sink.events if event.event == Event.PROGRESS] == [0, 1]
    seconds = [event.data["seconds"] for event in bench.sink.events if event.event == Event.PROGRESS]
    assert seconds == sorted(seconds)


def test_sink_that_fails_fails_the_futures(bench: Bench) -> None:
    def fail(events: list[Any]) -> set[str]:
        raise ConnectionError("no Redis")

    bench.sink.write = fail  # type: ignore[method-assign]
    future = bench.submit("a", "text")
    bench.run()
    with pytest.raises(ConnectionError):
        future.result(0)


def test_closing_drains_or_leaves() -> None:
    for drain, expected in ((True, [Event.RESULT, Event.DONE]), (False, [])):
        bench = Bench()
        bench.lane.gate.clear()
        bench.engine.start()
        futures = [bench.submit(name, "x" * 60) for name in "abc"]
        closer = threading.Thread(target=bench.engine.close, args=(drain,))
        closer.start()
        while not bench.engine._closing:
            pass
        bench.lane.gate.set()
        closer.join(10)
        assert bench.lane.is_closed
        assert bench.kinds("c") == expected
        if not drain:
            with pytest.raises(EngineClosed):
                futures[2].result(0)
        with pytest.raises(EngineClosed):
            bench.submit("z", "text")


def test_many_threads_and_lanes() -> None:
    lanes, sink, cores = [Lane(), Lane()], ListSink(), Cores(2)
    engine = EncoderEngine(Upper(), Lanes(lanes, turn=lambda: cores.turn("d", 1)), TABLE, sink)
    engine.start()
    futures: dict[str, Any] = {}

    def work(number: int) -> None:
        for turn in range(50):
            name = f"{number}-{turn}"
            futures[name] = engine.submit(request(name, "a" * (turn % 60 + 1), "b", tenant=str(number)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcomes: list[Outcome] = [future.result(10) for future in futures.values()]
    engine.close()
    assert {outcome.finish_reason for outcome in outcomes} == {"stop"}
    assert len([event for event in sink.events if event.event != Event.PROGRESS]) == 2 * 400  # who waits long is told
    assert engine.stats().items == 800
    assert engine.busy_since() == 0.0


def test_one_item_alone_is_computed_by_express_and_two_side_by_side() -> None:
    lanes, express, sink, cores = [Lane(), Lane()], Lane(), ListSink(), Cores(2)
    turns = {"turn": lambda: cores.turn("d", 1), "express_turn": lambda: cores.turn("d", 2)}
    engine = EncoderEngine(Upper(), Lanes(lanes, express, **turns), TABLE, sink)
    engine.start()
    for number in range(3):
        assert engine.submit(request(f"alone-{number}", "a")).result(10).finish_reason == "stop"
    assert (express.batches, [lane.batches for lane in lanes]) == ([["a"]] * 3, [[], []])

    express.gate.clear()
    first = engine.submit(request("first", "b"))
    while not engine.busy_since():
        pass
    others = [engine.submit(request(f"other-{number}", "c" * 60)) for number in range(2)]  # too long to be batched
    express.gate.set()
    assert {future.result(10).finish_reason for future in [first, *others]} == {"stop"}
    engine.close()
    assert [text for batch in [*express.batches, *lanes[0].batches, *lanes[1].batches] for text in batch].count(
        "b"
    ) == 1
    assert (engine.busy_since(), express.is_closed, [lane.is_closed for lane in lanes]) == (0.0, True, [True, True])
