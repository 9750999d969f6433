"""From finished requests to events, on a thread of its own, so that no lane waits for a reader."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from typing import Any

from contracts.messages import Event, Outcome, StreamEvent

from .output import Sink

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended: with an answer (RESULT and DONE), without one (DONE) or with an error."""

    request_id: str
    outcome: Outcome
    future: Future[Outcome]
    answer: dict[str, Any] | None = None
    error: dict[str, Any] = field(default_factory=dict)

    def events(self) -> list[StreamEvent]:
        outcome = asdict(self.outcome) | {"finish_reason": str(self.outcome.finish_reason)}
        if self.error:
            return [StreamEvent(self.request_id, Event.ERROR, {**self.error, "outcome": outcome})]
        done = StreamEvent(self.request_id, Event.DONE, outcome)
        return [done] if self.answer is None else [StreamEvent(self.request_id, Event.RESULT, self.answer), done]


class ResultWriter:
    """Writes everything that waits in one call of the sink. `fenced` is told which requests it refused."""

    def __init__(self, sink: Sink, fenced: Callable[[str], None]) -> None:
        self._sink = sink
        self._fenced = fenced
        self._queue: queue.SimpleQueue[Ending | StreamEvent | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="encoder-output", daemon=True)
        self._thread.start()

    def put(self, ending: Ending) -> None:
        self._queue.put(ending)

    def progress(self, request_id: str, event: Event, data: dict[str, Any]) -> None:
        self._queue.put(StreamEvent(request_id, event, data))

    def close(self) -> None:
        """Writes what is left and ends the thread."""
        self._queue.put(None)
        if self._thread is None:
            self.flush()
            return
        self._thread.join()
        self._thread = None

    def flush(self) -> None:
        """Writes everything queued, in the calling thread. For engines that were not started."""
        if not self._queue.empty():
            self._write(self._take())

    def _loop(self) -> None:
        closing = False
        while not closing:
            taken = self._take()
            closing = None in taken
            self._write(taken)

    def _take(self) -> list[Ending | StreamEvent | None]:
        taken = [self._queue.get()]
        while not self._queue.empty():
            taken.append(self._queue.get())
        return taken

    def _write(self, taken: list[Ending | StreamEvent | None]) -> None:
        endings = [one for one in taken if isinstance(one, Ending)]
        events: list[StreamEvent] = []
        for one in taken:
            if one is not None:
                events += one.events() if isinstance(one, Ending) else [one]
        try:
            fenced = self._sink.write(events) if events else set()
        except Exception as error:
            log.exception("the sink failed")
            for ending in endings:
                _resolve(ending.future, error)
            return
        for request_id in fenced:
            self._fenced(request_id)
        for ending in endings:
            _resolve(ending.future, ending.outcome)


def _resolve(future: Future[Outcome], result: Outcome | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
