"""The scorer of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015, arXiv:1510.03336), written from its description.

An alarm inside a window counts once, the earlier the more; one outside costs, the less the nearer it is behind a
window; a window without an alarm costs. One threshold for the whole corpus, the one with the best sum, as NAB's
optimiser does. 100 is every window at its first row and nothing else, 0 a detector that says nothing. It is held to
published figures in tests/benchmarks/test_nab_score.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.data.nab import Labelled

Scores = Mapping[str, NDArray[np.float64]]  # by file, of every row


@dataclass(frozen=True, slots=True)
class Profile:
    """What a true alarm earns, a false one and a missed window cost."""

    true_positive: float
    false_positive: float
    false_negative: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0), "low_fp": Profile(1.0, 0.22, 1.0), "low_fn": Profile(1.0, 0.11, 2.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    score: float  # normalised
    threshold: float  # alarms are at it or above


def best(files: list[Labelled], scores: Scores, profile: Profile) -> Found:
    """Over all thresholds."""
    rows = [row for file in files for row in _rows(file, scores[file.name], profile)]
    rows.sort(key=lambda row: -row[0])
    windows = {(file.name, number) for file in files for number in range(len(file.windows))}
    parts = dict.fromkeys(windows, -profile.false_negative)
    total, false = -profile.false_negative * len(windows), 0.0
    top, limit, current = total, math.inf, math.inf
    for score, window, worth in rows:
        if score != current:
            if total + false > top:
                top, limit = total + false, current
            current = score
        if window is None:
            false += worth
        elif worth > parts[window]:
            total += worth - parts[window]
            parts[window] = worth
    if total + false > top:
        top, limit = total + false, current
    return Found(_normalised(top, len(windows), profile), limit)


def _normalised(total: float, windows: int, profile: Profile) -> float:
    least, most = -profile.false_negative * windows, profile.true_positive * windows
    return 100 * (total - least) / (most - least)


def _rows(file: Labelled, scores: NDArray[np.float64], profile: Profile):
    """Score, window or None, and worth of every row that is judged."""
    worth, window = _worths(file, profile)
    for row in range(file.probation, len(file.values)):
        place = int(window[row])
        yield float(scores[row]), (file.name, place) if place >= 0 else None, float(worth[row])


def _worths(file: Labelled, profile: Profile) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """[T] what an alarm at a row is worth, and the number of its window, -1 outside."""
    row = np.arange(len(file.values))
    worth, window = np.full(len(row), -profile.false_positive), np.full(len(row), -1)
    for number, (begin, end) in enumerate(file.windows):
        width = end - begin + 1
        behind = row > end
        worth[behind] = profile.false_positive * _sigmoid((row[behind] - end) / max(1, width - 1))
        inside = (row >= begin) & (row <= end)
        worth[inside] = profile.true_positive * _sigmoid(-(end - row[inside] + 1) / width) / _sigmoid(np.array(-1.0))
        window[inside] = number
    return worth, window


def _sigmoid(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 far before, -1 far behind; behind three widths exactly."""
    return np.where(place > 3, -1.0, 2 / (1 + np.exp(np.minimum(5 * place, 50))) - 1)
