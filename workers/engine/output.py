"""From tokens to events, on a thread of its own, so that the runner never waits for a reader.

What a DELTA carries: every generated token id exactly once, in order, the end-of-sequence token
and tokens of a stop string included; text as soon as it is certain. So `token_ids` may come with
empty text (half a character, the beginning of a stop string) and text with no `token_ids` (what
was held back, at the end). Ids are a complete base for resuming: the ids of all deltas, and the
number of characters of their texts.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from contracts.messages import ErrorType, Event, FinishReason, Outcome, StreamEvent

from .detokenizer import Vocabulary
from .sampling import Logprobs
from .stop_strings import StopStrings

log = logging.getLogger(__name__)

# Tokens of a running answer are written this often, in seconds. A reader sees no difference; a write per step
# takes the interpreter from the runner 150 times a second, and Redis from everyone.
_INTERVAL = 0.05


class Sink(Protocol):
    """Where events go."""

    def write(self, events: list[StreamEvent]) -> set[str]:
        """Writes the events of some steps, in order; called from one thread only.

        Returns the ids of requests that may not write any more: another attempt took over. The
        engine drops them without a further event. If it raises, the requests of these events fail
        with that exception.
        """


class ListSink:
    """Keeps events in memory; for tests and benchmarks."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.fenced: set[str] = set()

    def write(self, events: list[StreamEvent]) -> set[str]:
        self.events += [event for event in events if event.request_id not in self.fenced]
        return {event.request_id for event in events} & self.fenced

    def of(self, request_id: str) -> list[StreamEvent]:
        return [event for event in self.events if event.request_id == request_id]

    def text(self, request_id: str) -> str:
        return "".join(event.data["text"] for event in self.of(request_id) if event.event == Event.DELTA)


class TextStream:
    """The text side of one request. Built in `submit`, then used by the output thread alone."""

    def __init__(self, request_id: str, vocabulary: Vocabulary, stop: list[str]) -> None:
        self.request_id = request_id
        self.future: Future[Outcome] = Future()
        self.completion_tokens = 0
        self.closed = False
        self._vocabulary = vocabulary
        self._detokenizer = vocabulary.detokenizer()
        self._stop = StopStrings(stop)
        self._skip = 0  # characters that an earlier attempt has sent and this one has yet to produce
        self._late = ""  # characters that this one has produced and the earlier attempt did not send

    @property
    def stopped(self) -> bool:
        return self._stop.stopped

    def resume(self, token_ids: list[int], text_length: int) -> None:
        """Takes up the state after `token_ids`, of whose text `text_length` characters are out."""
        text = "".join([self.push(token_id) for token_id in token_ids])
        self._skip = max(0, text_length - len(text))
        self._late = text[text_length:]

    def push(self, token_id: int) -> str:
        self.completion_tokens += 1
        return self._unsent(self._stop.push(self._detokenizer.push(token_id)))

    def flush(self) -> str:
        text = self._stop.push(self._detokenizer.flush())
        return self._unsent(text + self._stop.flush())

    def _unsent(self, text: str) -> str:
        dropped = min(self._skip, len(text))
        self._skip -= dropped
        late, self._late = self._late, ""
        return late + text[dropped:]

    def describe(self, token_id: int, logprobs: Logprobs, experts: list[list[int]]) -> dict[str, Any]:
        """One entry of `logprobs` in a DELTA; `experts` of each layer, for a mixture of them."""
        alternatives = [self._token(other, value) for other, value in logprobs.alternatives]
        picked = {"experts": experts} if experts else {}
        return {**self._token(token_id, logprobs.token), "top_logprobs": alternatives, **picked}

    def _token(self, token_id: int, logprob: float) -> dict[str, Any]:
        content = self._vocabulary.token_bytes(token_id)
        return {
            "token_id": token_id,
            "token": content.decode("utf-8", "replace"),
            "bytes": list(content),
            "logprob": logprob,
        }


@dataclass(frozen=True, slots=True)
class Update:
    """What the runner tells the output thread about one request."""

    stream: TextStream
    event: Event
    data: dict[str, Any] = field(default_factory=dict)
    token_id: int = -1  # with DELTA
    logprobs: Logprobs | None = None
    experts: list[list[int]] = field(default_factory=list)  # with logprobs, of a mixture of experts
    outcome: Outcome | None = None  # with DONE and ERROR


class OutputProcessor:
    """Turns updates into events. `drop(request_id, reason)` asks the runner to end a request: with
    STOP when a stop string is complete, with None (silently) when the sink refused it."""

    def __init__(self, sink: Sink, drop: Callable[[str, FinishReason | None], object]) -> None:
        self._sink = sink
        self._drop = drop
        self._queue: queue.SimpleQueue[list[Update] | None] = queue.SimpleQueue()
        self._urgent = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="engine-output", daemon=True)
        self._thread.start()

    def put(self, updates: list[Update], *, urgent: bool = True) -> None:
        """`urgent` is what somebody waits for: a beginning, an end. The rest may wait for more of its kind."""
        if updates:
            self._queue.put(updates)
            if urgent:
                self._urgent.set()

    def close(self) -> None:
        """Writes what is left and ends the thread."""
        if self._thread is None:
            self.flush()
            return
        self._queue.put(None)
        self._urgent.set()
        self._thread.join()
        self._thread = None

    def flush(self) -> None:
        """Processes everything queued, in the calling thread. For engines that were not started."""
        updates, _ = self._take([])
        self._process(updates)

    def _loop(self) -> None:
        closing = False
        while not closing:
            first = self._queue.get()
            self._urgent.wait(_INTERVAL)
            self._urgent.clear()
            updates, closing = self._take(first)
            self._process(updates)

    def _take(self, first: list[Update] | None) -> tuple[list[Update], bool]:
        """That and everything else that waits; whether it is the end."""
        updates: list[Update] = []
        batch = first
        while batch is not None:
            updates += batch
            if self._queue.empty():
                return updates, False
            batch = self._queue.get()
        return updates, True

    def _process(self, updates: list[Update]) -> None:
        if not updates:
            return
        batch = _Batch()
        for update in updates:
            if not update.stream.closed:
                self._convert(update, batch)
        failed: dict[str, Exception] = {}
        fenced: set[str] = set()
        try:
            fenced = self._sink.write(batch.events) if batch.events else set()
        except Exception as error:
            log.exception("the sink failed")
            failed = {event.request_id: error for event in batch.events}
        self._settle(batch, fenced, failed)

    def _convert(self, update: Update, batch: _Batch) -> None:
        stream = update.stream
        if update.event == Event.DELTA:
            self._delta(update, batch)
        elif update.event in (Event.DONE, Event.ERROR):
            self._end(update, batch)
        else:
            batch.add(stream, StreamEvent(stream.request_id, update.event, update.data))

    def _delta(self, update: Update, batch: _Batch) -> None:
        stream = update.stream
        if stream.stopped:
            return  # computed between the stop string and the step that heard of it
        text = stream.push(update.token_id)
        logprobs = []
        if update.logprobs:
            logprobs.append(stream.describe(update.token_id, update.logprobs, update.experts))
        batch.delta(stream, text, [update.token_id], logprobs)
        if stream.stopped:
            self._drop(stream.request_id, FinishReason.STOP)

    def _end(self, update: Update, batch: _Batch) -> None:
        stream, outcome = update.stream, update.outcome
        assert outcome is not None
        stream.closed = True
        values = asdict(outcome) | {"completion_tokens": stream.completion_tokens}
        if outcome.finish_reason != FinishReason.ERROR:
            if rest := stream.flush():
                batch.delta(stream, rest, [], [])
            if stream.stopped:
                values["finish_reason"] = FinishReason.STOP
        data = values if update.event == Event.DONE else {**update.data, "outcome": values}
        batch.finish(stream, StreamEvent(stream.request_id, update.event, _plain(data)), Outcome(**values))

    def _settle(self, batch: _Batch, fenced: set[str], failed: dict[str, Exception]) -> None:
        for request_id in fenced | set(failed):
            self._drop(request_id, None)
        for stream in batch.streams.values():
            if error := failed.get(stream.request_id):
                stream.closed = True
                _resolve(stream.future, error)
            elif stream.request_id in fenced:
                stream.closed = True
                _resolve(stream.future, Outcome(FinishReason.ABORT, completion_tokens=stream.completion_tokens))
            elif stream.request_id in batch.outcomes:
                _resolve(stream.future, batch.outcomes[stream.request_id])


class _Batch:
    """The events of one write; consecutive deltas of a request become one."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.streams: dict[str, TextStream] = {}
        self.outcomes: dict[str, Outcome] = {}
        self._open: dict[str, dict[str, Any]] = {}

    def add(self, stream: TextStream, event: StreamEvent) -> None:
        self.streams[stream.request_id] = stream
        self._open.pop(stream.request_id, None)
        self.events.append(event)

    def delta(self, stream: TextStream, text: str, token_ids: list[int], logprobs: list[dict[str, Any]]) -> None:
        data = self._open.get(stream.request_id)
        if data is None:
            data = {"text": "", "token_ids": []}
            self.add(stream, StreamEvent(stream.request_id, Event.DELTA, data))
            self._open[stream.request_id] = data
        data["text"] += text
        data["token_ids"] += token_ids
        if logprobs:
            data.setdefault("logprobs", []).extend(logprobs)

    def finish(self, stream: TextStream, event: StreamEvent, outcome: Outcome) -> None:
        self.add(stream, event)
        self.outcomes[stream.request_id] = outcome


def failure(stream: TextStream, error: ErrorType, message: str, outcome: Outcome, **details: Any) -> Update:
    """An ERROR update: {type, message, ..., outcome}."""
    data = {"type": error.value, "message": message, **details}
    return Update(stream, Event.ERROR, data, outcome=outcome)


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """Enumerations become plain strings, as after a JSON round trip."""
    return {key: str(value) if isinstance(value, FinishReason) else value for key, value in data.items()}


def _resolve(future: Future[Outcome], result: Outcome | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Outcome):
        future.set_result(result)
    else:
        future.set_exception(result)
