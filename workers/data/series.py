"""Series of readings, whatever they were measured with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]  # [T, sensors], NaN where there is no reading


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    name: str
    values: Values
    label: int = 0
    """What the whole of it is, where somebody has said so."""
    group: str = ""
    """Who or what it is of: groups are never divided between training and test."""
