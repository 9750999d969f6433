"""Thresholds by split conformal prediction: scores of normal steps that nothing was fitted on say what is too much.

Both sides compute them: worker-train when a detector is fitted, the web side when somebody drags the budget or calls an
alarm false. If a normal step that comes is exchangeable with those of the calibration, its score is above the threshold
with a probability of at most the budget (Vovk et al. 2005; Lei et al. 2018, arXiv:1604.04173). Series drift, so the
promise is only as good as that, which is why the measured rate stands beside it everywhere.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .messages import Message

DAY = 86400.0
MOST_SCORES = 4000  # that are kept of a calibration; all of the highest, and every so-manieth of the others
_HIGHEST = 2000
_EXACT = 1e-9


@dataclass(frozen=True, slots=True)
class Calibration(Message):
    """Scores of normal steps. `scores` rise; each stands for `weights` of them. An alarm begins above the threshold and
    lasts until the score is `calm` again, their median: `peaks` are the highest scores of such stretches, of 2,000 at
    most."""

    scores: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)  # rising
    calm: float = 0.0
    days: float = 0.0  # of all steps together

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def total(self) -> float:
        return sum(self.weights)


def calibrated(scores: Iterable[float | None], interval: float) -> Calibration:
    """Of normal steps in their order, None where there is no score. `interval` is in seconds."""
    ordered = list(scores)
    known = sorted(one for one in ordered if one is not None and math.isfinite(one))
    middle = known[len(known) // 2] if known else 0.0
    kept, weights = _thinned(known)
    return Calibration(kept, weights, sorted(_peaks(ordered, middle))[-_HIGHEST:], middle, len(known) * interval / DAY)


def threshold(calibration: Calibration, alarms: float, per: str) -> float:
    """The least score at which normal steps give at most this many alarms, per `cent` of steps or per `day`; infinite
    when the calibration is too short to promise it."""
    if not calibration.scores:
        return math.inf
    if per == "day":
        allowed = math.floor(alarms * calibration.days + _EXACT) - 1  # one more may come: that of the step to judge
        if allowed < 0:
            return math.inf
        peaks = calibration.peaks
        return peaks[max(0, len(peaks) - 1 - allowed)] if peaks else calibration.calm
    total = calibration.total
    rank = math.ceil((total + 1) * (1 - alarms / 100) - _EXACT)
    if rank > total + _EXACT:
        return math.inf
    below = 0.0
    for score, weight in zip(calibration.scores, calibration.weights, strict=True):
        below += weight
        if below >= rank - _EXACT:
            return score
    return math.inf


def rate_above(calibration: Calibration, limit: float) -> float:
    """Share of the normal steps above this threshold."""
    place = bisect_right(calibration.scores, limit)
    return sum(calibration.weights[place:]) / calibration.total if calibration.total else 0.0


def alarms_a_day(calibration: Calibration, limit: float) -> float:
    """False alarms that this threshold would have given."""
    above = len(calibration.peaks) - bisect_right(calibration.peaks, limit)
    return above / calibration.days if calibration.days else 0.0


def renewed(calibration: Calibration, recent: Iterable[float | None], interval: float) -> Calibration:
    """Of the last steps instead of the first: series drift, and exchangeable with the steps to come is what has just
    been. While there are fewer than the calibration has, as much of that stays as is missing. None where a step has no
    score, or was not a normal one."""
    found = calibrated(recent, interval)
    stays = 1 - found.total / calibration.total if calibration.total else 0.0
    if stays <= 0:
        return found
    old = ((score, weight * stays) for score, weight in zip(calibration.scores, calibration.weights, strict=True))
    rows = sorted([*zip(found.scores, found.weights, strict=True), *old])
    count = round(stays * len(calibration.peaks))
    peaks = [calibration.peaks[int((place + 0.5) * len(calibration.peaks) / count)] for place in range(count)]
    return Calibration(
        [row[0] for row in rows], [row[1] for row in rows], sorted([*found.peaks, *peaks]),
        calibration.calm if stays > 0.5 else found.calm, found.days + stays * calibration.days,
    )  # fmt: skip


def recalibrated(calibration: Calibration, alarms: Iterable[Sequence[float]]) -> Calibration:
    """With alarms that somebody called false, each as the scores of its steps: normal ones that it lacked."""
    false = [known for alarm in alarms if (known := [score for score in alarm if math.isfinite(score)])]
    more = ((score, 1.0) for alarm in false for score in alarm)
    rows = sorted([*zip(calibration.scores, calibration.weights, strict=True), *more])
    peaks = sorted([*calibration.peaks, *map(max, false)])
    return replace(calibration, scores=[row[0] for row in rows], weights=[row[1] for row in rows], peaks=peaks)


def _thinned(known: list[float]) -> tuple[list[float], list[float]]:
    """Rising scores to at most MOST_SCORES with weights; of a group its highest stays, so no threshold falls."""
    if len(known) <= MOST_SCORES:
        return known, [1.0] * len(known)
    low, high = known[:-_HIGHEST], known[-_HIGHEST:]
    size = math.ceil(len(low) / (MOST_SCORES - _HIGHEST))
    groups = [low[begin : begin + size] for begin in range(0, len(low), size)]
    return [group[-1] for group in groups] + high, [float(len(group)) for group in groups] + [1.0] * len(high)


def _peaks(scores: Sequence[float | None], middle: float) -> list[float]:
    found, highest = [], -math.inf
    for score in [*scores, None]:
        if score is not None and math.isfinite(score) and score > middle:
            highest = max(highest, score)
        elif highest > -math.inf:
            found.append(highest)
            highest = -math.inf
    return found
