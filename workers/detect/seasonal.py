"""What is left when the time of the day, or of any other period, and the level of the last steps are taken away."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from .base import Arrays, CannotFit, Scored, Steps, Windowed
from .period import period_of
from .scale import Values

_BACK = 12  # steps whose middle is the level
_MOST_PERIOD = 20_000  # steps


class Seasonal(Windowed):
    """A profile [period, F] and the width of what is left [F]; without a period the level alone is expected."""

    name: ClassVar[str] = "seasonal"

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self._profile, self._width = arrays["profile"], arrays["width"]
        self.period, self.sensors = self._profile.shape
        self.context = _BACK

    @classmethod
    def fit(cls, values: Values, is_normal: Steps, seed: int) -> Self:
        if is_normal.sum() < 2 * _BACK:
            raise CannotFit(f"The history has {is_normal.sum()} normal steps, too few to learn from.")
        normal = np.where(is_normal[:, None], values, np.nan)
        period = max(1, period_of(normal, _MOST_PERIOD))
        arrays = {"profile": _profile(normal, period), "width": np.ones(values.shape[1])}
        made = cls(arrays)
        rows = np.concatenate([np.full((_BACK, values.shape[1]), np.nan), normal])
        rest = normal - made._expected(rows, 0)
        spread = [np.nanmedian(np.abs(column)) if np.isfinite(column).any() else 1.0 for column in rest.T]
        return cls({**arrays, "width": np.maximum(1.4826 * np.array(spread), 0.02)})

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        return cls(arrays)

    def arrays(self) -> Arrays:
        return self._arrays

    def scored(self, rows: Values, seen: Steps, first: int) -> Scored:
        rows = np.where(seen, rows, np.nan)
        expected = self._expected(rows, first)
        rest = np.abs(rows[self.context :] - expected) / self._width
        is_known = np.isfinite(rest)
        shares = np.where(is_known, rest, 0.0)
        count = is_known.sum(1)
        mean = np.sqrt(np.square(shares).sum(1) / np.maximum(count, 1))
        return Scored(np.where(count > 0, mean, np.nan), np.square(shares), expected)

    def _expected(self, rows: Values, first: int) -> Values:
        """[N, F] of [C + N, F]; NaN where nothing was read before."""
        phase = (np.arange(-self.context, len(rows) - self.context) + first) % self.period
        rest = rows - self._profile[phase]
        count = len(rows) - self.context
        behind = np.lib.stride_tricks.sliding_window_view(rest, self.context, axis=0)[:count]  # (N, F, C)
        level = _middle(behind)
        return self._profile[phase[self.context :]] + level


def _middle(rows: np.ndarray) -> np.ndarray:
    """Median over the last axis without the missing; NaN where there is nothing."""
    ordered = np.sort(rows, -1)  # NaN last
    count = np.isfinite(rows).sum(-1)
    low, high = (np.maximum(place, 0)[..., None] for place in ((count - 1) // 2, count // 2))
    found = (np.take_along_axis(ordered, low, -1) + np.take_along_axis(ordered, high, -1))[..., 0] / 2
    return np.where(count > 0, found, np.nan)


def _profile(values: Values, period: int) -> Values:
    """[period, F]: the middle of all steps of one phase; 0 where there is none."""
    whole = np.full((-(-len(values) // period) * period, values.shape[1]), np.nan)
    whole[: len(values)] = values
    found = _middle(whole.reshape(-1, period, values.shape[1]).transpose(1, 2, 0))
    return np.where(np.isfinite(found), found, 0.0) if period > 1 else np.zeros((1, values.shape[1]))
