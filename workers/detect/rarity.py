"""How rare a step is by three simple measures, against all that came before: no shape, no period.

Of each sensor: how far the last reading, and the mean of the last 50, are from the mean of the last thousands, in their
deviations; and how far the reading lies outside of everything that was ever read. A measure's level is -log10 of the
share of earlier steps that had as much of it, as a conformal p-value is formed (Laxhammar and Falkman 2011; Burnaev and
Ishimtsev 2016, arXiv:1608.04585, whose detector for NAB ranks distances likewise); levels are added, as in Fisher's
method. What is usual is counted in bins a quarter of an octave wide, so the state stays small while it goes on
learning.

Letters: N steps, F sensors, M measures, B bins.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .base import Arrays, CannotFit, Scored, Steps
from .scale import Values

Floats = NDArray[np.float32]
_SHORT, _LONG = 50, 6400  # steps of the means
_MEASURES = 3
_BINS, _OCTAVE = 96, 4  # bins, and how many of them double a measure
_LOWEST = 8.0  # octaves below the usual where the first bin ends
_LEAST_STEPS = 2 * _SHORT
_CHUNK = 256  # rows that are counted at once
_LEAST = 1e-3  # of the history's deviation: the least that a deviation is taken to be


class Memory(NamedTuple):
    """What is known so far. Everything float32, so that parts say what the whole says."""

    count: Floats  # [F] of readings
    mean: Floats  # [F]
    variance: Floats  # [F]
    low: Floats  # [F]
    high: Floats  # [F]
    recent: Floats  # [50, F], the newest last
    counts: Floats  # [M, B, F]

    @classmethod
    def empty(cls, sensors: int) -> Self:
        none = [np.zeros(sensors, np.float32) for _ in range(5)]
        return cls(*none, np.full((_SHORT, sensors), np.nan, np.float32),
                   np.zeros((_MEASURES, _BINS, sensors), np.float32))  # fmt: skip


class Rarity:
    name: ClassVar[str] = "rarity"
    context = _SHORT
    """A lost state begins again as it was after the history: what was learned since is lost."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self.sensors = len(arrays["least"])

    @classmethod
    def fit(cls, values: Values, is_normal: Steps, seed: int) -> Self:
        normal = np.where(is_normal[:, None], values, np.nan).astype(np.float32)
        known = np.isfinite(normal)
        if known.any(1).sum() < _LEAST_STEPS:
            raise CannotFit(f"The history has {known.any(1).sum()} normal steps, too few to learn from.")
        deviation = np.array([column[there].std() if there.any() else 0.0
                              for column, there in zip(normal.T, known.T, strict=True)])  # fmt: skip
        arrays = {"least": np.maximum(_LEAST * deviation, 1e-6).astype(np.float32),
                  "usual": np.ones((_MEASURES, values.shape[1]), np.float32)}  # fmt: skip
        measured = cls(arrays)._run(Memory.empty(values.shape[1]), normal)[1]
        found = [[_middle(column) for column in rows.T] for rows in measured.transpose(1, 0, 2)]
        made = cls({**arrays, "usual": np.array(found, np.float32)})
        memory, _, _ = made._run(Memory.empty(values.shape[1]), normal)
        return cls({**made.arrays(), **memory._asdict()})

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        return cls(arrays)

    def arrays(self) -> Arrays:
        return self._arrays

    def begin(self) -> Floats:
        return _flat(Memory(*(self._arrays[name] for name in Memory._fields)))

    def score(self, values: Values, state: Floats, first: int) -> tuple[Scored, Floats]:
        rows = values.astype(np.float32)
        memory, _, levels = self._run(_read(state, self.sensors), rows)
        known = np.isfinite(rows)
        shares = levels.sum(1).astype(np.float64)
        count = known.sum(1)
        mean = np.sqrt(np.square(shares).sum(1) / np.maximum(count, 1))
        return Scored(np.where(count > 0, mean, np.nan), shares, None), _flat(memory)

    def _run(self, memory: Memory, rows: Floats) -> tuple[Memory, Floats, Floats]:
        """The memory after the rows [N, F], and measures and levels of each, [N, M, F]; 0 where nothing was read."""
        count, mean, variance, low, high, recent, counts = memory
        known = np.isfinite(rows)
        first = np.where(known.any(0), np.take_along_axis(rows, known.argmax(0)[None], 0)[0], 0)
        mean, low, high = (np.where(count == 0, first, part) for part in (mean, low, high))
        read = count + np.cumsum(known, 0, dtype=np.float32)  # [N, F], with the row itself
        weight = np.where(known, np.maximum(1 / np.maximum(read, 1), np.float32(1 / _LONG)), 0).astype(np.float32)
        means, variances = self._followed(mean, variance, np.where(known, rows, 0), weight)
        readings = np.where(known, rows, means[:-1])
        lows = np.minimum.accumulate(np.concatenate([low[None], np.where(known, rows, np.inf)]))
        highs = np.maximum.accumulate(np.concatenate([high[None], np.where(known, rows, -np.inf)]))
        least = self._arrays["least"]
        deviation = np.maximum(np.sqrt(variances[:-1]), least)
        recent = np.concatenate([recent, np.where(known, rows, np.nan)])
        shown = np.lib.stride_tricks.sliding_window_view(recent[1:], _SHORT, axis=0)  # [N, F, 50]
        there = np.isfinite(shown)
        short = np.where(there, shown, 0).sum(-1) / np.maximum(there.sum(-1), 1)
        outside = np.maximum(np.maximum(readings - highs[:-1], lows[:-1] - readings), 0)
        measures = np.stack([
            np.abs(readings - means[:-1]) / deviation, np.abs(short - means[:-1]) / deviation,
            outside / np.maximum(highs[:-1] - lows[:-1], least),
        ], 1)  # fmt: skip
        measures = np.where(known[:, None], measures, 0).astype(np.float32)
        above, counts = _counted(self._bins(measures), known, counts)
        before = (read - known)[:, None]
        levels = np.where(known[:, None], np.log10((before + 1) / (above + 1)), 0).astype(np.float32)
        after = Memory(read[-1], means[-1], variances[-1], lows[-1], highs[-1], recent[-_SHORT:], counts)
        return after, measures, levels

    def _followed(self, mean: Floats, variance: Floats, rows: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Mean and variance before each row and after the last, [N + 1, F]."""
        means, variances = np.empty((2, len(rows) + 1, self.sensors), np.float32)
        means[0], variances[0] = mean, variance
        for place, (row, part) in enumerate(zip(rows, weight, strict=True)):
            off = part * (row - mean)
            variance = (1 - part) * (variance + off * (row - mean))
            mean = mean + off
            means[place + 1], variances[place + 1] = mean, variance
        return means, variances

    def _bins(self, measures: Floats) -> NDArray[np.int64]:
        octaves = np.log2(np.maximum(measures / self._arrays["usual"], 1e-9)) + _LOWEST
        return np.clip(_OCTAVE * octaves, 0, _BINS - 1).astype(np.int64)


def _counted(bins: NDArray[np.int64], known: Steps, counts: Floats) -> tuple[Floats, Floats]:
    """How many earlier readings were in the bin [N, M, F] of each or above it; the counts after all of them."""
    above = np.empty(bins.shape, np.float32)
    for begin in range(0, len(bins), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        into = (bins[part, :, None] == np.arange(_BINS)[:, None]) & known[part, None, None]  # [n, M, B, F]
        reached = counts + np.cumsum(into, 0, dtype=np.float32) - into
        higher = np.cumsum(reached[:, :, ::-1], 2)[:, :, ::-1]
        above[part] = np.take_along_axis(higher, bins[part, :, None], 2)[:, :, 0]
        counts = counts + into.sum(0, dtype=np.float32)
    return above, counts


def _read(state: Floats, sensors: int) -> Memory:
    parts, at = [], 0
    for part in Memory.empty(sensors):
        parts.append(state[at : at + part.size].reshape(part.shape))
        at += part.size
    return Memory(*parts)


def _flat(memory: Memory) -> Floats:
    return np.concatenate([part.astype(np.float32).ravel() for part in memory])


def _middle(values: Floats) -> float:
    """Of what is above 0; 1 when nothing is."""
    some = values[values > 0]
    return float(np.median(some)) if len(some) else 1.0
