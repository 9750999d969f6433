"""From logits to token ids, for all rows of a step at once.

Order, as in transformers: penalties, temperature, top-k, top-p, min-p, draw. A row's result never
depends on which other rows are in the batch. Log probabilities are those of the model itself,
before penalties and temperature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contracts.messages import SamplingParams

from . import philox

Logits = NDArray[np.float32]
Survivors = tuple[NDArray[np.int64], NDArray[np.float64]]  # token ids, likeliest first; cumulated weights
# Only tokens at least this likely, relative to the likeliest, are sorted; the next step when they do not suffice.
_THRESHOLDS = (1e-2, 1e-4, 1e-7, -1.0)


class TokenCounts:
    """Which tokens a sequence contains, and how often its completion does. For the penalties."""

    def __init__(self, prompt: list[int]) -> None:
        self._ids = np.unique(np.asarray(prompt, np.int64))
        self._counts = np.zeros(len(self._ids), np.float32)
        self._index = {token: index for index, token in enumerate(self._ids.tolist())}
        self._size = len(self._ids)

    @property
    def ids(self) -> NDArray[np.int64]:
        return self._ids[: self._size]

    @property
    def counts(self) -> NDArray[np.float32]:
        return self._counts[: self._size]

    def add(self, token_id: int) -> None:
        index = self._index.setdefault(token_id, self._size)
        if index == self._size:
            self._grow()
            self._ids[index] = token_id
        self._counts[index] += 1

    def _grow(self) -> None:
        if self._size == len(self._ids):
            room = np.zeros(self._size + 64, np.int64)
            self._ids = np.concatenate([self._ids, room])
            self._counts = np.concatenate([self._counts, room.astype(np.float32)])
        self._size += 1


@dataclass(frozen=True, slots=True)
class SamplingRow:
    """What choosing one row's next token needs. `position` counts the tokens before it."""

    params: SamplingParams
    seed: int
    position: int
    counts: TokenCounts | None = None


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Natural logarithms; `alternatives` are the likeliest tokens, best first."""

    token: float
    alternatives: list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Samples:
    token_ids: list[int]
    logprobs: list[Logprobs | None]


def wants_counts(params: SamplingParams) -> bool:
    return params.repetition_penalty != 1 or params.frequency_penalty != 0 or params.presence_penalty != 0


def sample(logits: Logits, rows: Sequence[SamplingRow]) -> Samples:
    """Chooses a token for each row of `logits` [n, vocab], which are overwritten."""
    asked = [index for index, row in enumerate(rows) if row.params.logprobs is not None]
    raw = {index: _log_softmax(logits[index]) for index in asked}
    apply_penalties(logits, rows)
    token_ids = np.argmax(logits, axis=1)
    drawn = [index for index, row in enumerate(rows) if row.params.temperature > 0]
    if len(drawn) == len(rows):
        token_ids = draw(logits, rows)  # without the copy
    elif drawn:
        token_ids[drawn] = draw(logits[drawn], [rows[index] for index in drawn])
    logprobs: list[Logprobs | None] = [None] * len(rows)
    for index in asked:
        logprobs[index] = _logprobs(raw[index], int(token_ids[index]), rows[index].params.logprobs or 0)
    return Samples(token_ids.tolist(), logprobs)


def apply_penalties(logits: Logits, rows: Sequence[SamplingRow]) -> None:
    """In place. Repetition sees prompt and completion, frequency and presence the completion only."""
    chosen = [(index, row, row.counts) for index, row in enumerate(rows) if row.counts]
    if not chosen:
        return
    where = np.concatenate([np.full(len(counts.ids), index) for index, _, counts in chosen])
    ids = np.concatenate([counts.ids for _, _, counts in chosen])
    count = np.concatenate([counts.counts for _, _, counts in chosen])
    repeat = np.asarray([row.params.repetition_penalty for row in rows], np.float32)[where]
    frequency = np.asarray([row.params.frequency_penalty for row in rows], np.float32)[where]
    presence = np.asarray([row.params.presence_penalty for row in rows], np.float32)[where]
    values = logits[where, ids]
    values = np.where(values < 0, values * repeat, values / repeat)
    logits[where, ids] = values - frequency * count - presence * (count > 0)


def draw(logits: Logits, rows: Sequence[SamplingRow]) -> NDArray[np.int64]:
    """Random choice by temperature, top-k, top-p and min-p; `logits` [n, vocab] are overwritten."""
    weights = _weights(logits, rows)
    points = _random_points(rows)
    return np.asarray([_draw_row(*row) for row in zip(weights, rows, points, strict=True)], np.int64)


def truncated(weights: Logits, params: SamplingParams) -> Survivors:
    """What top-k, top-p and min-p leave of one row of weights, of which the largest is 1."""
    for threshold in _THRESHOLDS:
        ids = np.flatnonzero(weights >= threshold)
        survivors = _truncate(weights, ids, params)
        if survivors is not None:
            return survivors
    raise AssertionError("every token was looked at")


def _truncate(weights: Logits, ids: NDArray[np.int64], params: SamplingParams) -> Survivors | None:
    """Looks at some of the likeliest tokens; None when others would survive too."""
    complete = len(ids) == len(weights)
    if params.top_k and len(ids) < min(params.top_k, len(weights)):
        return None
    ids = ids[np.argsort(-weights[ids], kind="stable")]
    values = weights[ids].astype(np.float64)
    if params.top_k and params.top_k < len(ids):
        values = values[values >= values[params.top_k - 1]]
    cumulated = np.cumsum(values)
    kept = len(values)
    if params.top_p < 1:
        total = cumulated[-1] if params.top_k else weights.sum(dtype=np.float64)
        kept = 1 + int(np.searchsorted(cumulated[:-1], params.top_p * total))
    if params.min_p > 0:
        kept = min(kept, int(np.count_nonzero(values >= params.min_p)))
    if kept == len(ids) and not complete and not params.top_k:
        return None
    return ids[:kept], cumulated[:kept]


def _draw_row(weights: Logits, row: SamplingRow, point: float) -> int:
    params = row.params
    if params.top_k or params.top_p < 1 or params.min_p > 0:
        ids, cumulated = truncated(weights, params)
        return int(ids[np.searchsorted(cumulated, point * cumulated[-1], side="right")])
    cumulated = np.cumsum(weights, dtype=np.float64)
    return int(np.searchsorted(cumulated, point * cumulated[-1], side="right"))


def _weights(logits: Logits, rows: Sequence[SamplingRow]) -> Logits:
    """exp of the logits at each row's temperature, relative to the largest; in place."""
    temperature = np.asarray([row.params.temperature for row in rows], np.float32)
    logits -= logits.max(axis=1, keepdims=True)
    logits /= np.maximum(temperature, 1e-4)[:, None]
    return np.exp(logits, out=logits)


def _likeliest(values: Logits, size: int) -> NDArray[np.int64]:
    """Indices of the `size` largest values, largest first."""
    indices = np.argpartition(values, len(values) - size)[len(values) - size :]
    return np.asarray(indices[np.argsort(-values[indices], kind="stable")], np.int64)


def _random_points(rows: Sequence[SamplingRow]) -> NDArray[np.float64]:
    seeds = np.asarray([row.seed % 2**64 for row in rows], np.uint64)
    return philox.uniform(seeds, np.asarray([row.position for row in rows], np.uint64))


def _log_softmax(logits: Logits) -> Logits:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), np.float32)


def _logprobs(values: Logits, token_id: int, alternatives: int) -> Logprobs:
    best = _likeliest(values, alternatives) if alternatives else np.empty(0, np.int64)
    return Logprobs(_finite(values[token_id]), [(int(index), _finite(values[index])) for index in best])


def _finite(value: np.float32) -> float:
    """JSON has no infinity."""
    return max(float(value), -9999.0)
