"""Readings of any unit as numbers around 0, of which none is so large that it hides the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]  # [T, sensors], NaN where there is no reading


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Of each sensor [sensors]."""

    middle: NDArray[np.float64]
    width: NDArray[np.float64]

    def apply(self, values: Values) -> Values:
        """About -1 to 1 for what is usual, growing like a logarithm beyond; NaN stays."""
        return np.arcsinh((values - self.middle) / self.width)

    def undo(self, scaled: Values) -> Values:
        return np.sinh(scaled) * self.width + self.middle


def scale_of(values: Values) -> Scale:
    """By median and quartiles; of a sensor that hardly moves by its deviation, of one that does not by its size."""
    middle, width = np.zeros(values.shape[1]), np.ones(values.shape[1])
    for place, column in enumerate(values.T):
        known = column[np.isfinite(column)]
        if not len(known):
            continue
        middle[place] = np.median(known)
        low, high = np.percentile(known, [25, 75])
        least = 1e-6 * max(1.0, abs(middle[place]))
        ways = ((high - low) / 1.35, known.std(), 0.1 * abs(middle[place]))
        width[place] = next((one for one in ways if one > least), 1.0)
    return Scale(middle, width)
