"""Numenta Anomaly Benchmark: 58 series of one sensor with windows around known anomalies (Lavin and Ahmad 2015)."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from .corpus import data_file
from .series import Series

SOURCE = "github.com/numenta/NAB"
LICENCE = "MIT (LICENSE.txt of the copy)"
PROBATION = 0.15  # of a series, of 5,000 rows at most: detectors may learn from it and are not judged by it
_MOST_ROWS = 5000


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """One file. `windows` are rows [begin, end], both inside; times are seconds since the epoch."""

    name: str
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    windows: tuple[tuple[int, int], ...]

    @property
    def probation(self) -> int:
        """Rows that are not judged, as NAB counts them."""
        return int(PROBATION * min(len(self.values), _MOST_ROWS))

    @property
    def is_anomaly(self) -> NDArray[np.bool_]:
        """[T], inside a window."""
        found = np.zeros(len(self.values), bool)
        for begin, end in self.windows:
            found[begin : end + 1] = True
        return found


def load() -> list[Labelled]:
    """Every file, in the order of their names. Raises DataMissing."""
    windows = json.loads(data_file("nab/labels/combined_windows.json", SOURCE).read_text())
    return [_read(name, windows[name]) for name in sorted(windows)]


def beginnings() -> list[Series]:
    """The probation of each file: what all detectors may learn from. Raises DataMissing."""
    return [
        Series(one.name, one.values[: one.probation, None].astype(np.float32), group=one.name.partition("/")[0])
        for one in load()
    ]


def _read(name: str, windows: list[list[str]]) -> Labelled:
    with data_file(f"nab/data/{name}", SOURCE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    times = np.array([_seconds(row["timestamp"]) for row in rows])
    spans = [(_seconds(begin), _seconds(end)) for begin, end in windows]
    inside = [np.flatnonzero((times >= begin) & (times <= end)) for begin, end in spans]
    values = np.array([float(row["value"]) for row in rows])
    return Labelled(name, times, values, tuple((int(one[0]), int(one[-1])) for one in inside))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
