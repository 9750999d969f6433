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
_CANDIDATES = 256  # the likeliest tokens, enough for nearly every top-p; the rest is sorted only when not


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
    """Chooses a token for each row of `logits` [n, vocab], which penalties overwrite."""
    asked = [index for index, row in enumerate(rows) if row.params.logprobs is not None]
    raw = {index: _log_softmax(logits[index]) for index in asked}
    apply_penalties(logits, rows)
    token_ids = np.argmax(logits, axis=1)
    drawn = [index for index, row in enumerate(rows) if row.params.temperature > 0]
    if drawn:
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
    """Random choice by temperature, top-k, top-p and min-p; `logits` [n, vocab]."""
    temperature = np.asarray([row.params.temperature for row in rows], np.float32)
    scaled = logits / temperature[:, None]
    points = _random_points(rows)
    result = np.empty(len(rows), np.int64)
    for index, row in enumerate(rows):
        result[index] = _draw_row(scaled[index], row.params, points[index])
    return result


def truncated(scaled: Logits, params: SamplingParams) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Token ids that survive top-k, top-p and min-p, likeliest first, and their cumulated weights."""
    size = min(len(scaled), max(_CANDIDATES, params.top_k))
    while True:
        kept = _truncate(scaled, params, size)
        if kept is not None:
            return kept
        size = len(scaled)


def _truncate(scaled: Logits, params: SamplingParams, size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Looks at the `size` likeliest tokens; None when more of them would survive."""
    ids = _likeliest(scaled, size)
    values = scaled[ids].astype(np.float64)
    complete = size == len(scaled)
    if params.top_k and params.top_k < len(ids):
        values = values[values >= values[params.top_k - 1]]
        complete = True
    weights = np.exp(values - values[0])
    cumulated = np.cumsum(weights)
    kept = len(weights)
    if params.top_p < 1:
        total = cumulated[-1] if complete else np.exp(scaled - values[0], dtype=np.float64).sum()
        kept = 1 + int(np.searchsorted(cumulated[:-1], params.top_p * total))
    if params.min_p > 0:
        kept = min(kept, int(np.count_nonzero(weights >= params.min_p)))
    if kept == len(weights) and not complete:
        return None
    return ids[:kept], cumulated[:kept]


def _draw_row(scaled: Logits, params: SamplingParams, point: float) -> int:
    if not params.top_k and params.top_p == 1 and params.min_p == 0:
        weights = np.exp(scaled - scaled.max())
        cumulated = np.cumsum(weights, dtype=np.float64)
        return int(np.searchsorted(cumulated, point * cumulated[-1], side="right"))
    ids, cumulated = truncated(scaled, params)
    return int(ids[np.searchsorted(cumulated, point * cumulated[-1], side="right")])


def _likeliest(values: Logits, size: int) -> NDArray[np.int64]:
    """Indices of the `size` largest values, largest first; equal ones in the order of the vocabulary."""
    if size < len(values):
        indices = np.sort(np.argpartition(values, len(values) - size)[len(values) - size :])
    else:
        indices = np.arange(len(values))
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
