"""How good scores are, beside known anomalies. Nothing here knows point adjustment (Kim et al. 2022, arXiv:2109.05257).

VUS-PR after Paparrizos et al. 2022 (PVLDB 15): the area under precision and recall, with the labels widened by
ever longer slopes, and its mean over their lengths. It is what TSB-AD holds to be most reliable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]
Span = tuple[int, int]  # first step and the one behind the last

_THRESHOLDS = 200
_LENGTHS = 9  # of slopes, evenly spaced


@dataclass(frozen=True, slots=True)
class Alarmed:
    """At one threshold. None where there is nothing to measure it by."""

    precision: float
    recall: float
    f1: float
    event_recall: float | None
    delay: float | None  # steps from the beginning of an event to its first alarm, median over those found
    false_alarm_rate: float | None


def spans_of(truth: Truth) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], truth, [False]]).astype(np.int8)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def alarmed(scores: Scores, truth: Truth, threshold: float) -> Alarmed:
    """A step without a score raises no alarm."""
    alarm = np.nan_to_num(scores, nan=-np.inf) > threshold
    hits = int((alarm & truth).sum())
    precision, recall = hits / max(1, int(alarm.sum())), hits / max(1, int(truth.sum()))
    spans = spans_of(truth)
    firsts = [np.flatnonzero(alarm[begin:end]) for begin, end in spans]
    found = [int(one[0]) for one in firsts if len(one)]
    return Alarmed(
        precision, recall, 2 * precision * recall / max(precision + recall, 1e-12),
        len(found) / len(spans) if spans else None, float(np.median(found)) if found else None,
        float(alarm[~truth].mean()) if (~truth).any() else None,
    )  # fmt: skip


def best_f1(scores: Scores, truth: Truth) -> float:
    """Over all thresholds: what the score could reach if somebody knew the labels."""
    order = np.argsort(-_known(scores), kind="stable")
    hits = np.cumsum(truth[order])
    both = hits / np.arange(1, len(order) + 1), hits / max(1, truth.sum())
    return float(np.max(2 * both[0] * both[1] / np.maximum(both[0] + both[1], 1e-12)))


def vus_pr(scores: Scores, truth: Truth, longest: int) -> float:
    """`longest` is that of the slopes, in steps."""
    known, spans = _known(scores), spans_of(truth)
    ordered = np.sort(known)[::-1]
    levels = ordered[np.linspace(0, len(ordered) - 1, _THRESHOLDS).astype(int)]
    lengths = np.unique(np.linspace(0, longest, _LENGTHS).astype(int))
    return float(np.mean([_area(known, levels, _sloped(truth, spans, int(length)), spans) for length in lengths]))


def _area(scores: Scores, levels: Scores, labels: NDArray[np.float64], spans: Sequence[Span]) -> float:
    """Under precision over recall. Recall counts what is found of the labels, times the share of events found."""
    order = np.argsort(scores)
    sums = np.concatenate([[0.0], np.cumsum(labels[order][::-1])])
    above = len(scores) - np.searchsorted(scores[order], levels, side="left")
    peaks = np.array([scores[begin:end].max() for begin, end in spans])
    exists = (peaks >= levels[:, None]).mean(1)
    positives = (sum(end - begin for begin, end in spans) + labels.sum()) / 2
    recall = np.minimum(sums[above] / positives, 1) * exists
    precision = sums[above] / np.maximum(above, 1)
    recall, precision = np.concatenate([[0.0], recall]), np.concatenate([[1.0], precision])
    return float(np.sum(np.diff(recall) * precision[1:]))


def _sloped(truth: Truth, spans: Sequence[Span], length: int) -> NDArray[np.float64]:
    """1 within an event, falling as a root over half the length on each side."""
    labels, half = truth.astype(np.float64), length // 2
    for begin, end in spans:
        for away in range(1, half + 1):
            value = np.sqrt(1 - away / length)
            for place in (begin - away, end - 1 + away):
                if 0 <= place < len(labels):
                    labels[place] = min(1.0, max(labels[place], value))
    return labels


def _known(scores: Scores) -> Scores:
    """What has no score is the least strange."""
    return np.nan_to_num(scores, nan=float(np.nanmin(scores)) if np.isfinite(scores).any() else 0.0)
