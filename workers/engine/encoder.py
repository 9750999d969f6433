"""The engine of models that answer in one pass: items in, one result for each request out.

Callers prepare (tokenise, decode pictures) in `submit` and leave their items under the lock; each lane is a
thread that owns a session and repeats: choose a batch, run it, hand the results to their requests. Finished
requests go to the writer's thread, which makes events and writes those of many requests at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from math import inf
from typing import Any

from contracts.messages import ErrorType, FinishReason, InferenceRequest, Outcome

from .announcer import Announcer
from .batcher import Batcher, Item, Waiting
from .cost_table import CostTable
from .group import EncoderTask, Group, Prepared
from .intake import Refused
from .lanes import Lane, Lanes
from .mailbox import EngineClosed
from .meter import EncoderStats, Meter
from .output import Sink
from .result_writer import Ending, ResultWriter

__all__ = ["EncoderConfig", "EncoderEngine", "EncoderStats", "EncoderTask", "Lane", "Lanes", "Prepared"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    latency_target: float = 0.5  # seconds
    max_waiting: int = 512  # requests
    max_waiting_items: int = 16384
    progress_interval: float = 0.5


class EncoderEngine:
    """Batches by cost. Times are seconds since the epoch."""

    def __init__(
        self,
        task: EncoderTask,
        lanes: Lanes,
        table: CostTable,
        sink: Sink,
        config: EncoderConfig | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config or EncoderConfig()
        self._task = task
        self._lanes = lanes
        self._table = table
        self._clock = clock
        self._batcher = Batcher(table, lanes=len(lanes), latency_target=self.config.latency_target)
        self._changed = threading.Condition()
        self._waiting = Waiting()
        self._live: dict[str, Group] = {}
        self._closing = ""  # "", "drain" or "now"
        self._running = 0
        self._earliest = inf  # no deadline of a live request is before this
        self._meter = Meter(table)
        self._writer = ResultWriter(sink, self._fenced)
        self._announcer = Announcer(self._meter, self._writer, len(lanes), self.config.progress_interval)
        self._threads: list[threading.Thread] = []

    # -- callers ---------------------------------------------------------------------------------

    def submit(self, request: InferenceRequest) -> Future[Outcome]:
        """Prepares and queues a request. Never raises for what the request contains: a request that
        cannot be served gets an ERROR event and an Outcome with finish_reason error.

        The same request_id again gives the same future, unless `attempt` is higher: then the older
        attempt is dropped without a further event. Raises EngineClosed.
        """
        began = time.perf_counter()
        try:
            group = self._group(request, self._task.prepare(request))
            group.prepare_time = time.perf_counter() - began
            return self._post(group).future
        except (Refused, ValueError) as error:
            refused = error if isinstance(error, Refused) else Refused(ErrorType.INVALID_REQUEST, str(error))
            group = Group(request, self._clock(), [], refused.outcome.prompt_tokens)
            self._fail(group, refused.error, str(refused), **refused.details)
            return group.future

    def abort(self, request_id: str) -> bool:
        """Ends a request with finish_reason abort; False when it is not here."""
        with self._changed:
            group = self._live.get(request_id)
            if group is None or not self._remove(group):
                return False
        self._done(group, FinishReason.ABORT)
        return True

    def stats(self) -> EncoderStats:
        with self._changed:
            waiting = sum(not group.started for group in self._live.values())
        return self._meter.stats(running=self._running, waiting=waiting, slots=len(self._lanes))

    def busy_since(self) -> float:
        return self._lanes.busy_since()

    def start(self) -> None:
        """Starts a thread a lane and the writer's."""
        self._writer.start()
        for number, lane in enumerate(self._lanes.side_by_side):
            thread = threading.Thread(target=self._loop, args=(lane,), name=f"encoder-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self, drain: bool = True) -> None:
        """Takes no more requests. With `drain` everything live is finished first; without, it is
        left where it is: no further event, futures raise EngineClosed, another worker may resume."""
        with self._changed:
            self._closing = "drain" if drain else "now"
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._writer.close()
        for group in list(self._live.values()):
            if not group.future.done():
                group.future.set_exception(EngineClosed("the engine was closed"))
        self._live.clear()
        self._lanes.close()

    # -- the way in ------------------------------------------------------------------------------

    def _group(self, request: InferenceRequest, prepared: list[Prepared]) -> Group:
        now = self._clock()
        arrival = request.arrival_time or now
        tokens = sum(one.prompt_tokens for one in prepared)
        group = Group(request, arrival, [None] * len(prepared), tokens, missing=len(prepared))
        group.items = [
            Item(one.length, one.payload, request.tenant, arrival, request.deadline, group=group, index=index)
            for index, one in enumerate(prepared)
        ]
        return group

    def _post(self, group: Group) -> Group:
        """Queues the items. Returns who stands for the request: a live one of the same attempt stays, an older
        attempt makes way. Raises Refused when too much waits, EngineClosed."""
        request = group.request
        with self._changed:
            if self._closing:
                raise EngineClosed("the engine takes no more requests")
            if known := self._live.get(request.request_id):
                if known.request.attempt >= request.attempt:
                    return known
                self._remove(known)
                if not known.future.done():
                    known.future.set_result(known.outcome(FinishReason.ABORT, self._clock()))
            full = len(self._waiting) + len(group.items) > self.config.max_waiting_items
            if full or len(self._live) >= self.config.max_waiting:
                raise Refused(
                    ErrorType.OVERLOADED,
                    f"{len(self._live)} requests are already being served or waiting. Try again shortly.",
                )
            self._live[request.request_id] = group
            self._earliest = min(self._earliest, request.deadline)
            for item in group.items:
                self._waiting.add(item)
            self._changed.notify(min(len(group.items), len(self._lanes)))
        return group

    # -- lanes -----------------------------------------------------------------------------------

    def _loop(self, lane: Lane) -> None:
        lane.pin()
        while self._has_work():
            # Chosen only when the cores are ours: what came meanwhile may join.
            with self._lanes.taken(lane, alone=self._is_one_alone()) as taken:
                self.step(taken)

    def step(self, lane: Lane) -> bool:
        """One batch; False when nothing waits."""
        batch = self._next_batch()
        if batch:
            self._run(lane, batch)
        return bool(batch)

    def _has_work(self) -> bool:
        """Sleeps until something waits; False when the lane may go home."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            return bool(self._waiting) and self._closing != "now"

    def _is_one_alone(self) -> bool:
        with self._changed:
            return len(self._waiting) == 1 and not self._running

    def _next_batch(self) -> list[Item]:
        """Takes a batch out of the queue; empty when nothing waits."""
        with self._changed:
            now = self._clock()
            self._end_overdue(now)
            if not self._waiting:
                return []
            batch = self._batcher.choose(self._waiting, now)
            for item in batch:
                self._waiting.take(item)
                item.group.started = item.group.started or now
            self._running += len(batch)
            self._announcer.tell(self._waiting, now)
            return batch

    def _run(self, lane: Lane, batch: list[Item]) -> None:
        """A batch that fails is tried again item by item, so that one bad item fails one request."""
        started = time.perf_counter()
        try:
            with self._lanes.at_work(lane):
                results = lane.run([item.payload for item in batch])
        except Exception:
            log.exception("the model failed on a batch of %d", len(batch))
            self._charge(batch, time.perf_counter() - started)
            self._fail_batch(lane, batch)
        else:
            self._charge(batch, time.perf_counter() - started)
            self._hand_out(batch, results)

    def _charge(self, batch: list[Item], seconds: float) -> None:
        with self._changed:
            for item, share in self._meter.charge(batch, seconds):
                item.group.compute_seconds += share
                item.group.batch_size = max(item.group.batch_size, len(batch))
                self._waiting.serve(item.tenant, share)

    def _hand_out(self, batch: list[Item], results: list[Any]) -> None:
        complete = []
        with self._changed:
            self._running -= len(batch)
            for item, result in zip(batch, results, strict=True):
                group: Group = item.group
                group.results[item.index] = result
                group.missing -= 1
                if not group.missing and self._remove(group):
                    complete.append(group)
        for group in complete:
            self._done(group, FinishReason.STOP)

    # -- the end of a request --------------------------------------------------------------------

    def _done(self, group: Group, reason: FinishReason) -> None:
        outcome = group.outcome(reason, self._clock())
        answer: dict[str, Any] | None = None
        if reason == FinishReason.STOP:
            answer = self._task.answer(group.request, group.results)
        self._writer.put(Ending(group.request.request_id, outcome, group.future, answer=answer))

    def _fail(self, group: Group, error: ErrorType, message: str, **details: Any) -> None:
        outcome = group.outcome(FinishReason.ERROR, self._clock())
        data = {"type": error.value, "message": message, **details}
        self._writer.put(Ending(group.request.request_id, outcome, group.future, error=data))

    def _fail_batch(self, lane: Lane, batch: list[Item]) -> None:
        if len(batch) > 1:
            for item in batch:
                self._run(lane, [item])
            return
        group: Group = batch[0].group
        with self._changed:
            self._meter.failures += 1
            self._running -= 1
            removed = self._remove(group)
        if removed:
            message = "The model failed while computing. The administrator finds the reason in the log."
            self._fail(group, ErrorType.INTERNAL, message)

    def _fenced(self, request_id: str) -> None:
        """The sink refused it: another attempt has taken over. Nothing more is said."""
        with self._changed:
            if group := self._live.get(request_id):
                self._remove(group)

    def _remove(self, group: Group) -> bool:
        """Takes a request and what waits of it out; False when it was out already. Under the lock."""
        if group.finished:
            return False
        group.finished = True
        if self._live.get(group.request.request_id) is group:
            del self._live[group.request.request_id]
        for item in group.items:
            if not item.taken:
                self._waiting.take(item)
        return True

    def _end_overdue(self, now: float) -> None:
        """Under the lock. Looks at the requests only when the earliest deadline has passed."""
        if now < self._earliest:
            return
        for group in [one for one in self._live.values() if one.request.deadline <= now]:
            self._remove(group)
            self._fail(group, ErrorType.DEADLINE_EXCEEDED, "The request was not finished before its deadline.")
        self._earliest = min((one.request.deadline for one in self._live.values()), default=inf)
