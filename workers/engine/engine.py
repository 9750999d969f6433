"""The engine: requests in, events out, many sequences in one batch.

Three kinds of threads meet here. Callers tokenise in `submit` and leave the sequence in the mailbox;
the runner owns backend, cache and scheduler and repeats `step`; the output thread makes text and
events. The mailbox is all they share.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass

from contracts.messages import ErrorType, Event, FinishReason, InferenceRequest, Outcome
from workers.backends.base import Backend, Logits

from .intake import ChatEncoder, Intake, Refused
from .kv_cache import KvCache
from .mailbox import EngineClosed, EngineFull, Mailbox
from .output import OutputProcessor, Sink, Update, failure
from .sampling import SamplingRow, sample
from .scheduler import Batch, Chunk, PrefillBudget, Scheduler
from .sequence import Sequence

__all__ = ["Engine", "EngineClosed", "EngineConfig", "EngineStats"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """`prefill_seconds` is what a step may spend on prompts while others decode."""

    max_batch_size: int = 16
    context_length: int = 2048
    max_waiting: int = 256
    prefill_seconds: float = 0.1
    progress_interval: float = 0.5


@dataclass(frozen=True, slots=True)
class EngineStats:
    running: int  # requests that hold a slot
    waiting: int
    slots: int
    steps: int
    prefill_tokens: int
    cached_tokens: int
    generated_tokens: int
    busy_seconds: float
    failures: int


class Engine:
    """Continuous batching over a Backend that is loaded. Times are seconds since the epoch."""

    def __init__(
        self,
        backend: Backend,
        encoder: ChatEncoder,
        sink: Sink,
        config: EngineConfig | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config or EngineConfig()
        self._backend = backend
        self._intake = Intake(encoder, self.config.context_length)
        self._clock = clock
        self._budget = PrefillBudget(seconds=self.config.prefill_seconds)
        self._cache = KvCache(backend)
        self._scheduler = Scheduler(self._cache, max_batch_size=self.config.max_batch_size, budget=self._budget)
        self._mailbox = Mailbox(self.config.max_waiting + self.config.max_batch_size)
        self._output = OutputProcessor(sink, self._mailbox.drop)
        self._thread: threading.Thread | None = None
        self._progress_at = 0.0
        self._counters = dict.fromkeys(("steps", "prefill_tokens", "cached_tokens", "generated_tokens", "failures"), 0)
        self._busy_seconds = 0.0
        self._step_began = 0.0

    # -- callers ---------------------------------------------------------------------------------

    def submit(self, request: InferenceRequest) -> Future[Outcome]:
        """Tokenises and queues a request. Never raises for what the request contains: a request
        that cannot be served gets an ERROR event and an Outcome with finish_reason error.

        The same request_id again gives the same future, unless `attempt` is higher: then the older
        attempt is dropped without a further event. Raises EngineClosed.
        """
        try:
            sequence = self._intake.sequence(request, self._clock())
        except Refused as refused:
            stream = self._intake.stream(request, [])
            self._output.put([failure(stream, refused.error, str(refused), refused.outcome, **refused.details)])
            return stream.future
        try:
            return self._mailbox.post(sequence).stream.future
        except EngineFull as full:
            outcome = sequence.outcome(FinishReason.ERROR)
            self._output.put([failure(sequence.stream, ErrorType.OVERLOADED, str(full), outcome)])
            return sequence.stream.future

    def abort(self, request_id: str) -> bool:
        """Ends a request at the next step with finish_reason abort; False when it is not here."""
        return self._mailbox.drop(request_id, FinishReason.ABORT)

    def stats(self) -> EngineStats:
        return EngineStats(
            running=self._cache.held,
            waiting=self._mailbox.unread() + len(self._scheduler.waiting),
            slots=self.config.max_batch_size,
            busy_seconds=self._busy_seconds,
            **self._counters,
        )

    def busy_since(self) -> float:
        """When the step that runs now began, in seconds of the monotonic clock; 0 between steps."""
        return self._step_began

    def start(self) -> None:
        """Starts the runner and the output thread."""
        self._output.start()
        self._thread = threading.Thread(target=self._loop, name="engine-runner", daemon=True)
        self._thread.start()

    def close(self, drain: bool = True) -> None:
        """Takes no more requests. With `drain` everything live is finished first; without, it is
        left where it is: no further event, futures raise EngineClosed, another worker may resume."""
        self._mailbox.close("drain" if drain else "now")
        if self._thread:
            self._thread.join()
            self._thread = None
        self._output.close()
        for sequence in self._mailbox.live():
            if not sequence.stream.future.done():
                sequence.stream.future.set_exception(EngineClosed("the engine was closed"))
            self._mailbox.forget(sequence)
        self._backend.close()

    # -- runner ----------------------------------------------------------------------------------

    def step(self) -> bool:
        """Schedule, run, emit. False when there was nothing to do."""
        now = self._clock()
        self._take_messages()
        self._end_overdue(now)
        batch = self._scheduler.schedule(now)
        self._announce(batch, now)
        for chunk in batch.chunks:
            self._prefill(chunk)
        if batch.running:
            self._decode(batch.running)
        self._counters["steps"] += not batch.is_empty
        return not batch.is_empty

    def _loop(self) -> None:
        while self._mailbox.closing != "now":
            self._step_began = time.monotonic()
            try:
                busy = self.step()
            except Exception:
                log.exception("engine step failed")
                self._fail_all()
                continue
            finally:
                self._step_began = 0.0
            if not busy and not self._mailbox.wait():
                return

    def _prefill(self, chunk: Chunk) -> None:
        sequence, slot = chunk.sequence, chunk.sequence.slot
        assert slot
        token_ids = sequence.token_ids[chunk.start : chunk.end]
        started = time.perf_counter()
        try:
            logits = self._backend.prefill(slot.row, token_ids, chunk.start)
        except Exception as error:  # noqa: BLE001  whatever it is, the engine goes on
            self._fail([sequence], error)
            return
        slot.token_ids = sequence.token_ids[: chunk.end]
        self._counters["prefill_tokens"] += len(token_ids)
        self._budget.observe_prefill(len(token_ids), time.perf_counter() - started)
        if chunk.is_last:
            self._scheduler.start_decode(sequence)
            self._emit([sequence], logits[None], started, first=True)
        else:
            self._charge([sequence], started)

    def _decode(self, running: list[Sequence]) -> None:
        started = time.perf_counter()
        token_ids = [sequence.token_ids[-1] for sequence in running]
        try:
            logits = self._backend.decode(token_ids, [sequence.computed for sequence in running])
        except Exception as error:  # noqa: BLE001
            self._fail(running, error)
            return
        self._budget.observe_decode(time.perf_counter() - started)
        for sequence, token_id in zip(running, token_ids, strict=True):
            assert sequence.slot
            sequence.slot.token_ids.append(token_id)
            self._scheduler.waiting.serve(sequence.request.tenant, 1)
        self._emit(running, logits, started)

    def _emit(self, sequences: list[Sequence], logits: Logits, started: float, *, first: bool = False) -> None:
        """Samples the next token of each sequence and tells the output thread."""
        samples = sample(logits, [_sampling_row(sequence) for sequence in sequences])
        now = self._clock()
        updates = []
        finished = []
        picks = self._backend.picks
        for row, (sequence, token_id, logprobs) in enumerate(
            zip(sequences, samples.token_ids, samples.logprobs, strict=True)
        ):
            experts = picks[row].tolist() if logprobs and picks is not None else []
            updates.append(Update(sequence.stream, Event.DELTA, token_id=token_id, logprobs=logprobs, experts=experts))
            if reason := sequence.append(token_id, now):
                finished.append((sequence, reason))
        self._counters["generated_tokens"] += len(sequences)
        self._output.put(updates, urgent=first and _is_read(sequences))
        self._charge(sequences, started)
        for sequence, reason in finished:
            self._finish(sequence, reason)

    def _charge(self, sequences: list[Sequence], started: float) -> None:
        """Shares the time since `started` out over the rows that used it."""
        seconds = time.perf_counter() - started
        self._busy_seconds += seconds
        for sequence in sequences:
            sequence.compute_seconds += seconds / len(sequences)

    # -- the life of a sequence ------------------------------------------------------------------

    def _take_messages(self) -> None:
        """What callers and the output thread have left since the last step."""
        arrived, dropped = self._mailbox.take()
        for sequence in arrived:
            reason = FinishReason.STOP if sequence.stream.stopped else sequence.finish_reason()
            self._scheduler.add(sequence)
            if reason:  # an earlier attempt had everything but the end
                self._finish(sequence, reason)
        for sequence, reason in dropped:
            self._finish(sequence, reason)

    def _announce(self, batch: Batch, now: float) -> None:
        """STARTED for who got a slot, unless an earlier attempt has streamed; PROGRESS for who waits."""
        for sequence in batch.admitted:
            self._counters["cached_tokens"] += sequence.cached_tokens
        started = [_started(one, self.config) for one in batch.admitted if not one.request.resume_token_ids]
        self._output.put(started, urgent=False)  # a short prompt's first token comes sooner than anybody misses it
        if now - self._progress_at < self.config.progress_interval or not self._scheduler.waiting:
            return
        self._progress_at = now
        for position, sequence in enumerate(self._scheduler.waiting.in_order()):
            if sequence.position != position:
                sequence.position = position
                self._output.put([Update(sequence.stream, Event.PROGRESS, {"position": position})])

    def _end_overdue(self, now: float) -> None:
        for sequence in self._mailbox.live():
            if now >= sequence.request.deadline:
                message = "The request was not finished before its deadline."
                outcome = sequence.outcome(FinishReason.ERROR)
                if self._remove(sequence):
                    self._output.put([failure(sequence.stream, ErrorType.DEADLINE_EXCEEDED, message, outcome)])

    def _finish(self, sequence: Sequence, reason: FinishReason | None) -> None:
        """Frees the slot; without a reason nothing is said of it."""
        outcome = sequence.outcome(reason or FinishReason.ABORT)
        if not self._remove(sequence):
            return
        if reason:
            self._output.put([Update(sequence.stream, Event.DONE, outcome=outcome)])
        elif not sequence.stream.future.done():
            sequence.stream.future.set_result(outcome)

    def _remove(self, sequence: Sequence, *, keep: bool = True) -> bool:
        """Takes a sequence out of scheduler and register; False when it was out already."""
        if sequence.finished:
            return False
        sequence.finished = True
        self._mailbox.forget(sequence)
        self._scheduler.remove(sequence, keep=keep)
        return True

    def _fail(self, sequences: list[Sequence], error: Exception) -> None:
        """The backend failed on these rows: what is in them cannot be trusted."""
        log.error("the backend failed: %s", error, exc_info=error)
        self._counters["failures"] += 1
        for sequence in sequences:
            outcome = sequence.outcome(FinishReason.ERROR)
            if self._remove(sequence, keep=False):
                message = "The model failed while computing. The administrator finds the reason in the log."
                self._output.put([failure(sequence.stream, ErrorType.INTERNAL, message, outcome)])

    def _fail_all(self) -> None:
        scheduler = self._scheduler
        everyone = [*scheduler.prefilling, *scheduler.running, *scheduler.waiting]
        self._fail(everyone, RuntimeError("a step failed"))
        self._cache.clear()


def _sampling_row(sequence: Sequence) -> SamplingRow:
    return SamplingRow(sequence.params, sequence.seed, len(sequence.token_ids), sequence.counts)


def _is_read(sequences: Iterable[Sequence]) -> bool:
    """Somebody waits for what is first written; who does not is spared a write."""
    return any(sequence.request.is_streamed for sequence in sequences)


def _started(sequence: Sequence, config: EngineConfig) -> Update:
    data = {
        "prompt_tokens": sequence.prompt_tokens,
        "cached_tokens": sequence.cached_tokens,
        "context_length": config.context_length,
        "queue_time": sequence.queue_time,
    }
    return Update(sequence.stream, Event.STARTED, data)
