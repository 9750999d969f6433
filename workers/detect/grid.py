"""Readings that come when they come, as steps of one length.

A reading belongs to the step whose middle it is nearest to: step n is [(n - 1/2) d, (n + 1/2) d), around n d. Of
several in one step the last counts. A step is complete when every sensor has a reading in it, when a reading of a later
one is there, or when somebody says that nothing more comes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .scale import Values

MOST_GAP = 512  # missing steps that are told one by one; of a longer gap its end, and what was before is forgotten
_IRREGULAR = 2.0  # times the median that one of ten gaps is longer than
_MOST_SPARSE = 50  # steps for each moment with a reading


@dataclass(slots=True, eq=False)
class Grid:
    """`next` is the first step that is not complete, -1 before any reading; `open` are its readings so far."""

    interval: float  # seconds
    sensors: int
    next: int = -1
    open: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    late: int = 0

    def __post_init__(self) -> None:
        if not self.open.size:
            self.open = np.full(self.sensors, np.nan)

    def put(self, times: NDArray[np.float64], values: Values, until: float = 0.0) -> tuple[NDArray[np.int64], Values]:
        """Numbers of the steps that became complete, and their readings. Rows may come in any order."""
        order = np.argsort(times, kind="stable")
        steps = np.floor(times[order] / self.interval + 0.5).astype(np.int64)
        found: list[tuple[int, NDArray[np.float64]]] = []
        for step, row in zip(steps, values[order], strict=True):
            self._put(int(step), row, found)
        if until and self.next >= 0:
            self._close(int(np.floor(until / self.interval + 0.5)), found)
        numbers = np.array([number for number, _ in found], np.int64)
        return numbers, np.array([row for _, row in found]).reshape(len(found), self.sensors)

    def _put(self, step: int, row: NDArray[np.float64], found: list[tuple[int, NDArray[np.float64]]]) -> None:
        is_there = np.isfinite(row)
        if not is_there.any():
            return
        if self.next < 0:
            self.next = step
        if step < self.next:
            self.late += int(is_there.sum())
            return
        self._close(step, found)
        self.open = np.where(is_there, row, self.open)
        if np.isfinite(self.open).all():
            self._close(step + 1, found)

    def _close(self, step: int, found: list[tuple[int, NDArray[np.float64]]]) -> None:
        """Every step before this one is complete."""
        if step <= self.next:
            return
        found.append((self.next, self.open))
        self.open = np.full(self.sensors, np.nan)
        first = max(self.next + 1, step - MOST_GAP)
        found.extend((missing, self.open) for missing in range(first, step))
        self.next = step


def interval_of(times: NDArray[np.float64]) -> float:
    """Seconds between two readings: the median, rounded to what a clock would say. Of readings that come at any time
    what nine of ten gaps are shorter than, so that most steps have one. Raises ValueError."""
    gaps = np.diff(np.unique(times))
    if not len(gaps):
        raise ValueError("The history has readings of one moment only.")
    middle, long = float(np.median(gaps)), float(np.percentile(gaps, 90, method="lower"))
    if long > _IRREGULAR * middle:
        return float(np.ceil(long)) if long > 1 else long
    for unit in (3600.0, 60.0, 1.0, 0.1, 0.01, 0.001):
        if middle >= unit and abs(middle / unit - round(middle / unit)) < 0.05:
            return round(middle / unit) * unit
    return middle


def steps_of(times: NDArray[np.float64], values: Values, interval: float) -> tuple[NDArray[np.int64], Values]:
    """A whole history: every step from the first to the last, NaN where nothing was read. Raises ValueError when that
    is far more than there are readings."""
    numbers = np.floor(times / interval + 0.5).astype(np.int64)
    first = int(numbers.min())
    if int(numbers.max()) - first > _MOST_SPARSE * (len(times) + 100):
        raise ValueError(f"Steps of {interval:g} seconds are far too short for this history: choose a longer interval.")
    whole = np.full((int(numbers.max()) - first + 1, values.shape[1]), np.nan)
    order = np.argsort(times, kind="stable")
    for sensor in range(values.shape[1]):
        known = order[np.isfinite(values[order, sensor])]
        whole[numbers[known] - first, sensor] = values[known, sensor]
    return np.arange(first, first + len(whole)), whole
