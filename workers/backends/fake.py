"""A backend without a model: deterministic, instant, and strict about how it is called."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from .base import BackendError, Logits, Picks

NextToken = Callable[[list[int]], int]


def count_up(token_ids: list[int]) -> int:
    """The default language: every token is the one before plus one."""
    return token_ids[-1] + 1


class FakeBackend:
    """Keeps the token ids themselves as cache, so a slot mixed up with another changes the text.

    `next_token` sees all tokens of a row. Logits are 10 for its answer and fall off around it, so
    that sampling has something to choose from. `fail` makes the next call raise. With `experts` a row's picks are
    its last token and the one after it, modulo their number.
    """

    def __init__(
        self,
        *,
        slots: int = 8,
        context_length: int = 256,
        vocab_size: int = 128,
        next_token: NextToken = count_up,
        step_seconds: float = 0.0,
        experts: int = 0,
    ) -> None:
        self.slots = slots
        self.context_length = context_length
        self.vocab_size = vocab_size
        self.fail: str | None = None
        self.picks: Picks | None = None
        self._experts = experts
        self.calls: list[tuple[str, int]] = []
        self._next_token = next_token
        self._step_seconds = step_seconds
        self._rows = np.full((slots, context_length), -1, np.int64)

    def load(self) -> None:
        self._rows[:] = -1

    def warm_up(self) -> None:
        pass

    def prefill(self, slot: int, token_ids: Sequence[int], offset: int) -> Logits:
        self._begin("prefill", len(token_ids))
        end = offset + len(token_ids)
        self._check(slot, offset, end)
        self._rows[slot, offset:end] = token_ids
        self._pick(token_ids[-1:])
        return self._logits(slot, end)

    def decode(self, token_ids: Sequence[int], lengths: Sequence[int]) -> Logits:
        self._begin("decode", len(token_ids))
        for row, (token, length) in enumerate(zip(token_ids, lengths, strict=True)):
            self._check(row, length, length + 1)
            self._rows[row, length] = token
        self._pick(token_ids)
        return np.stack([self._logits(row, length + 1) for row, length in enumerate(lengths)])

    def copy(self, source: int, target: int, length: int) -> None:
        self._rows[target, :length] = self._rows[source, :length]

    def swap(self, first: int, second: int, first_length: int, second_length: int) -> None:
        self._rows[[first, second]] = self._rows[[second, first]]

    def close(self) -> None:
        pass

    def _begin(self, kind: str, size: int) -> None:
        if self.fail is not None:
            reason, self.fail = self.fail, None
            raise BackendError(reason)
        self.calls.append((kind, size))
        if self._step_seconds:
            time.sleep(self._step_seconds)

    def _pick(self, token_ids: Sequence[int]) -> None:
        if self._experts:
            self.picks = np.asarray([[[token, token + 1]] for token in token_ids], np.int64) % self._experts

    def _check(self, slot: int, offset: int, end: int) -> None:
        assert 0 <= slot < self.slots, f"slot {slot} of {self.slots}"
        assert end <= self.context_length, f"position {end} of {self.context_length}"
        assert (self._rows[slot, :offset] >= 0).all(), f"slot {slot} has a hole before {offset}"

    def _logits(self, slot: int, end: int) -> Logits:
        token = self._next_token(self._rows[slot, :end].tolist()) % self.vocab_size
        distance = np.abs(np.arange(self.vocab_size) - token)
        return np.asarray(10.0 - distance, np.float32)
