"""One request inside the engine, from waiting to finished. Belongs to the runner thread."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.messages import FinishReason, InferenceRequest, Outcome, SamplingParams

from .kv_cache import Slot
from .output import TextStream
from .sampling import TokenCounts


@dataclass(eq=False, slots=True)
class Sequence:
    """`token_ids` is the prompt and everything generated since; the cache lags at least one behind."""

    request: InferenceRequest
    params: SamplingParams
    stream: TextStream
    token_ids: list[int]
    prompt_tokens: int
    max_length: int  # prompt and completion together, in tokens
    seed: int
    eos_ids: frozenset[int]
    counts: TokenCounts | None = None
    slot: Slot | None = None
    cached_tokens: int = 0
    compute_seconds: float = 0.0
    arrival_time: float = 0.0
    queue_time: float = 0.0
    first_token_time: float = 0.0
    last_token_time: float = 0.0
    position: int = -1  # in the queue, as last told
    finished: bool = False

    @property
    def request_id(self) -> str:
        return self.request.request_id

    @property
    def computed(self) -> int:
        """Tokens whose keys and values are in the cache."""
        return len(self.slot.token_ids) if self.slot else 0

    @property
    def pending(self) -> int:
        """Tokens to prefill before the next one can be sampled."""
        return len(self.token_ids) - self.computed

    def append(self, token_id: int, now: float) -> FinishReason | None:
        """Takes the next token; tells why it was the last one, if it was."""
        self.token_ids.append(token_id)
        if self.counts:
            self.counts.add(token_id)
        self.first_token_time = self.first_token_time or now
        self.last_token_time = now
        return self.finish_reason()

    def finish_reason(self) -> FinishReason | None:
        if len(self.token_ids) == self.prompt_tokens:
            return None
        if self.token_ids[-1] in self.eos_ids:
            return FinishReason.STOP
        return FinishReason.LENGTH if len(self.token_ids) >= self.max_length else None

    def outcome(self, reason: FinishReason) -> Outcome:
        return Outcome(
            finish_reason=reason,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=len(self.token_ids) - self.prompt_tokens,
            compute_seconds=self.compute_seconds,
            queue_time=self.queue_time,
            time_to_first_token=max(0.0, self.first_token_time - self.arrival_time) if self.first_token_time else 0.0,
            duration=self.last_token_time - self.first_token_time,
        )
