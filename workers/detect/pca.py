"""Principal components: of the sensors together (PCA), and of all sensors over a window (sub-sequence PCA).

Hotelling's T2 within the components and Q beyond them, each divided by its mean over normal steps (Jackson and
Mudholkar 1979). Sub-sequence PCA is what leads TSB-AD's univariate table (Liu and Paparrizos 2024).
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .base import Arrays, CannotFit, Scored, Steps, Windowed, components, filled, is_ready, some, whole, windows
from .period import period_of
from .scale import Values

_MOST_ROWS = 6000  # that components are found from
_LEAST_ROWS = 20
_SHARE = 0.9  # of the variance
_WINDOW, _SHORTEST, _LONGEST = 32, 16, 128  # steps: where there is no period, and at least and at most
_MOST_NUMBERS = 768  # of a window with all its sensors


class SubsequencePCA(Windowed):
    name: ClassVar[str] = "subsequence_pca"

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._mean, self._components = arrays["mean"], arrays["components"]  # [w, F], [k, w F]
        self._variances, self._usual = arrays["variances"], arrays["usual"]  # [k], mean of T2 and Q
        self.window, self.sensors = self._mean.shape
        self.context = max(1, self.window - 1)

    @classmethod
    def fit(cls, values: Values, is_normal: Steps, seed: int) -> Self:
        return cls._fit(values, is_normal, seed, _window_of(values))

    @classmethod
    def _fit(cls, values: Values, is_normal: Steps, seed: int, window: int) -> Self:
        if len(values) < window + _LEAST_ROWS:
            raise CannotFit(f"The history has {len(values)} steps; windows of {window} need more.")
        rows = windows(filled(values), window)[whole(is_normal, window)]
        if len(rows) < _LEAST_ROWS:
            raise CannotFit(f"The history has {len(rows)} windows of {window} normal steps, too few to learn from.")
        rows = rows[some(len(rows), _MOST_ROWS, seed)]
        mean = rows.mean(0)
        flat = (rows - mean).reshape(len(rows), -1)
        found, variances = components(flat, _SHARE, max(1, flat.shape[1] - 1))
        kept = np.maximum(variances[: len(found)], 1e-9)
        made = cls({"mean": mean, "components": found, "variances": kept, "usual": np.ones(2)})
        inside, beyond = made._parts(flat)
        usual = np.array([inside.mean(), np.square(beyond).sum(1).mean()])
        return cls({**made.arrays(), "usual": np.maximum(usual, 1e-6)})

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        return cls(arrays)

    def arrays(self) -> Arrays:
        return self._arrays

    def scored(self, rows: Values, seen: Steps, first: int) -> Scored:
        first_needed = self.context - (self.window - 1)
        rows, seen = rows[first_needed:], seen[first_needed:]
        shown = windows(rows, self.window)
        inside, beyond = self._parts((shown - self._mean).reshape(len(shown), -1))
        scores = inside / self._usual[0] + np.square(beyond).sum(1) / self._usual[1]
        beyond = beyond.reshape(shown.shape)
        ready = is_ready(seen, self.window)
        return Scored(np.where(ready, scores, np.nan), np.square(beyond).sum(1), shown[:, -1] - beyond[:, -1])

    def _parts(self, flat: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """T2 [N], and what no component explains [N, w F]."""
        inside = flat @ self._components.T
        return np.square(inside / np.sqrt(self._variances)).sum(1), flat - inside @ self._components


class PCA(SubsequencePCA):
    """Of each step by itself: what breaks the rule that sensors move together."""

    name: ClassVar[str] = "pca"

    @classmethod
    def fit(cls, values: Values, is_normal: Steps, seed: int) -> Self:
        if values.shape[1] < 2:
            raise CannotFit("One sensor alone has nothing to move together with.")
        return cls._fit(values, is_normal, seed, 1)


def _window_of(values: Values) -> int:
    """One period, as far as it is neither too short nor too long."""
    most = max(_SHORTEST, min(_LONGEST, _MOST_NUMBERS // values.shape[1]))
    period = period_of(values, most)
    return min(max(period, _SHORTEST), most) if period else min(_WINDOW, most)
