"""The items of one request to an encoder, on their way to results."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from contracts.messages import FinishReason, InferenceRequest, Outcome

from .batcher import Item


@dataclass(frozen=True, slots=True)
class Prepared:
    """One item of a request, ready for the model. `length` is in tokens, 1 where there are none."""

    payload: Any
    length: int
    prompt_tokens: int


class EncoderTask(Protocol):
    """What a pipeline knows: from a request to items, from a batch to results, from results to an answer."""

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        """Raises Refused, or ValueError with a sentence for the user. Any thread."""

    def answer(self, request: InferenceRequest, results: list[Any]) -> dict[str, Any]:
        """The data of the RESULT event; results are in the order of the items."""


@dataclass(eq=False, slots=True)
class Group:
    """The items of one request."""

    request: InferenceRequest
    arrival_time: float
    results: list[Any]
    prompt_tokens: int
    future: Future[Outcome] = field(default_factory=Future)
    items: list[Item] = field(default_factory=list)
    missing: int = 0
    compute_seconds: float = 0.0
    started: float = 0.0
    prepare_time: float = 0.0
    batch_size: int = 0  # of the largest batch that an item was in
    finished: bool = False
    position: int = -1  # as last told

    def outcome(self, reason: FinishReason, now: float) -> Outcome:
        started = self.started or now
        return Outcome(
            finish_reason=reason,
            prompt_tokens=self.prompt_tokens,
            compute_seconds=self.compute_seconds,
            queue_time=max(0.0, started - self.arrival_time),
            duration=max(0.0, now - started),
            prepare_time=self.prepare_time,
            batch_size=self.batch_size,
        )
