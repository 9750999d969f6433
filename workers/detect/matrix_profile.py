"""How far the last stretch is from the one of the history that is most like it (Yeh et al. 2016, Matrix Profile I).

The join of what comes with a history that stays: one product of matrices for any number of steps, with no need for the
incremental tricks of a library. Stretches are z-normalised, sensor by sensor; a sensor that stood still is compared as
such. Where the history has more than _MOST stretches, evenly spaced ones stand for it.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .base import Arrays, CannotFit, Scored, Steps, Windowed, filled, is_ready, some, whole, windows
from .period import period_of
from .scale import Values

_MOST = 1500
_STRETCH, _SHORTEST, _LONGEST = 24, 12, 64  # steps
_STILL = 0.05  # a deviation below this, in scaled units, is none
_CHUNK = 512  # steps compared at a time


class MatrixProfile(Windowed):
    name: ClassVar[str] = "matrix_profile"

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._known = arrays["known"].astype(np.float64)  # [F, stretches, w], normalised
        self.sensors, _, self.window = self._known.shape
        self.context = self.window - 1

    @classmethod
    def fit(cls, values: Values, is_normal: Steps, seed: int) -> Self:
        period = period_of(values, _LONGEST)
        window = min(max(period, _SHORTEST), _LONGEST) if period else _STRETCH
        if len(values) < 2 * window:
            raise CannotFit(f"The history has {len(values)} steps; stretches of {window} need more.")
        seen = windows(filled(values), window)[whole(is_normal, window)]
        if len(seen) < window:
            raise CannotFit(f"The history has {len(seen)} stretches of {window} normal steps, too few to compare with.")
        seen = seen[some(len(seen), _MOST, seed)]
        known = np.stack([normalised(seen[..., sensor]) for sensor in range(values.shape[1])])
        return cls({"known": known.astype(np.float32)})

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        return cls(arrays)

    def arrays(self) -> Arrays:
        return self._arrays

    def scored(self, rows: Values, seen: Steps, first: int) -> Scored:
        shown = windows(rows, self.window)
        squares = np.square(np.stack([self._distance(shown[..., one], one) for one in range(self.sensors)], -1))
        return Scored(np.where(is_ready(seen, self.window), np.sqrt(squares.mean(1)), np.nan), squares, None)

    def _distance(self, rows: NDArray[np.float64], sensor: int) -> NDArray[np.float64]:
        """[N] to the nearest."""
        known, found = self._known[sensor], np.empty(len(rows))
        own = np.square(known).sum(1)
        for begin in range(0, len(rows), _CHUNK):
            part = normalised(rows[begin : begin + _CHUNK])
            squares = np.square(part).sum(1)[:, None] + own - 2 * part @ known.T
            found[begin : begin + _CHUNK] = np.sqrt(np.maximum(squares.min(1), 0))
        return found


def normalised(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, w] with mean 0 and deviation 1; what stood still stays near 0."""
    return (rows - rows.mean(1, keepdims=True)) / np.maximum(rows.std(1, keepdims=True), _STILL)
