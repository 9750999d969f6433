"""The scale of a chart: round steps from 0."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str
    anchor: str = "end"


def scale(highest: float) -> tuple[float, float]:
    """A round top not below the highest value, and the step of the grid: two to five lines."""
    if highest <= 0:
        return 1.0, 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    step = next(power * part for part in (0.2, 0.25, 0.5, 1, 2, 2.5, 5) if highest <= power * part * 5)
    return step * math.ceil(highest / step - 1e-9), step
