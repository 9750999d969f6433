"""Every detector on one history, under the same conditions: who finds most at the same budget is taken.

The history is cut in time: a half to fit on, a quarter to calibrate on, a quarter to judge by. Afterwards the one that
was chosen is calibrated on the whole second half. Steps that are known not to be normal are neither fitted nor
calibrated on. Where the part to judge by has no known anomaly, faults are put into it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from contracts.anomaly import BacktestRow, Budget, Detector, Per
from contracts.conformal import Calibration, alarms_a_day, calibrated, rate_above, threshold

from .base import CannotFit, Steps
from .faults import injected
from .fitted import SIMPLE, Fitted, Track
from .metrics import Scores, alarmed, vus_pr
from .scale import Values, scale_of

FITTED, CALIBRATED = 0.5, 0.25  # shares of the history; the rest is judged
_LONGEST_SLOPE = 40  # steps, of VUS-PR
_BETTER = 0.01  # of VUS-PR: less than that is no reason to take the slower one
_DAY = 86400.0
_NOBODY = ("random", "always")

Make = Callable[[Values, Steps], Fitted]  # scaled readings to fit on, and which are normal
Say = Callable[[str, float], None]  # stage, share of the backtest


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Steps of one length, from number `origin` on."""

    values: Values  # [T, F], NaN where nothing was read
    interval: float
    origin: int
    is_anomaly: Steps  # [T] known to be
    is_excluded: Steps  # [T] neither normal nor known

    @property
    def is_normal(self) -> Steps:
        return ~self.is_anomaly & ~self.is_excluded

    def cuts(self) -> tuple[int, int]:
        first = int(FITTED * len(self.values))
        return first, first + int(CALIBRATED * len(self.values))


@dataclass(slots=True, eq=False)
class Judged:
    row: BacktestRow
    fitted: Fitted | None = None
    track: Track | None = None  # of the whole history as it is


def simple_makers(history: History, seed: int, names: Sequence[str] = tuple(SIMPLE)) -> dict[str, Make]:
    """Those of numpy alone. Scales are of what is fitted on."""

    def maker(kind: str) -> Make:
        def make(values: Values, is_normal: Steps) -> Fitted:
            scale = scale_of(np.where(is_normal[:, None], values, np.nan))
            detector = SIMPLE[kind].fit(scale.apply(values), is_normal, seed)
            return Fitted(detector, scale, history.interval, history.origin, values.shape[1])

        return make

    return {name: maker(name) for name in names}


def backtest(
    history: History, makers: dict[str, Make], budget: Budget, seed: int, say: Say = lambda stage, share: None
) -> tuple[list[Judged], str]:
    """The best first, then `random` and `always`, and what it was judged by: labels or injected."""
    _, second = history.cuts()
    judged = slice(second, len(history.values))
    has_labels = bool(history.is_anomaly[judged].any())
    test, truth = history.values, history.is_anomaly[judged]
    if not has_labels:
        test, truth = _with_faults(history, second, seed)
    found = []
    for place, (name, make) in enumerate(makers.items()):
        say(f"backtest of {name}", place / len(makers))
        found.append(_judge(name, make, history, test, truth, budget))
    found.sort(key=lambda one: -1.0 if one.row.vus_pr is None else one.row.vus_pr, reverse=True)
    found = _simplest_first(found)
    return found + _nobody(history, truth, budget, seed), "labels" if has_labels else "injected"


def _with_faults(history: History, second: int, seed: int) -> tuple[Values, Steps]:
    """The history with faults behind this step, and where they are."""
    scale = scale_of(np.where(history.is_normal[:, None], history.values, np.nan))
    part, truth = injected(scale.apply(history.values[second:]), history.is_normal[second:], seed)
    changed = np.where(truth[:, None], scale.undo(part), history.values[second:])
    return np.concatenate([history.values[:second], changed]), truth


def _judge(name: str, make: Make, history: History, test: Values, truth: Steps, budget: Budget) -> Judged:
    first, second = history.cuts()
    began = time.process_time()
    try:
        fitted = make(history.values[:first], history.is_normal[:first])
    except CannotFit as error:
        return Judged(BacktestRow(name, error=str(error)))
    fit_seconds = time.process_time() - began
    began = time.process_time()
    track = fitted.track(history.values)
    score_seconds = (time.process_time() - began) * 1000 / len(history.values)
    held = np.zeros(len(history.values), bool)
    held[first:second] = True
    calibration = fitted.calibrate(track, history.values, held & history.is_normal)
    tested = track if test is history.values else fitted.track(test)
    limit = threshold(calibration, budget.alarms, budget.per)
    scores, clean = (one.scores[second:] / fitted.unit for one in (tested, track))
    measured = _measured(scores, clean, truth, history, limit)
    return Judged(
        BacktestRow(name, **measured, fit_seconds=round(fit_seconds, 3), score_seconds=round(score_seconds, 4)),
        fitted, track,
    )  # fmt: skip


def _measured(scores: Scores, clean: Scores, truth: Steps, history: History, limit: float) -> dict[str, float | None]:
    """Of the part to judge by. Steps that are neither normal nor known count as nothing; false alarms are those of the
    history as it is."""
    _, second = history.cuts()
    is_normal = history.is_normal[second:]
    counted = truth | is_normal
    found = alarmed(scores[counted], truth[counted], limit)
    normal = calibrated(
        [float(one) if good and np.isfinite(one) else None for one, good in zip(clean, is_normal, strict=True)],
        history.interval,
    )
    return {
        "vus_pr": round(vus_pr(np.where(counted, scores, np.nan), truth, _LONGEST_SLOPE), 4) if truth.any() else None,
        "f1": round(found.f1, 4) if truth.any() else None,
        "event_recall": found.event_recall,
        "delay": None if found.delay is None else found.delay * history.interval,
        "false_alarm_rate": round(rate_above(normal, limit), 5),
        "alarms_per_day": round(alarms_a_day(normal, limit), 4),
    }


def _simplest_first(found: list[Judged]) -> list[Judged]:
    """Among those that are as good as the best, the one that takes least time."""
    if not found or found[0].row.vus_pr is None:
        return found
    alike = [one for one in found if (one.row.vus_pr or 0.0) > found[0].row.vus_pr - _BETTER]
    first = min(alike, key=lambda one: one.row.score_seconds)
    return [first, *(one for one in found if one is not first)]


def _nobody(history: History, truth: Steps, budget: Budget, seed: int) -> list[Judged]:
    """Who knows nothing: chance, with the threshold of the budget, and an alarm at every step."""
    source = np.random.default_rng((seed, 5))
    limit = 1 - budget.alarms / 100 if budget.per == Per.CENT else 1 - budget.alarms * history.interval / _DAY
    drawn, ones = source.random(len(truth)), np.ones(len(truth))
    chance = _measured(drawn, drawn, truth, history, limit)
    always = _measured(ones, ones, truth, history, 0.5)
    return [Judged(BacktestRow("random", **chance)), Judged(BacktestRow("always", **always))]


def finish(judged: Judged, history: History) -> Calibration:
    """The detector calibrated on everything that it was not fitted on."""
    assert judged.fitted is not None and judged.track is not None
    held = np.arange(len(history.values)) >= history.cuts()[0]
    return judged.fitted.calibrate(judged.track, history.values, held & history.is_normal)


def reason(found: list[Judged], asked: str, basis: str) -> str:
    """Why the first, in one sentence."""
    row = found[0].row
    known = "the known anomalies" if basis == "labels" else "faults that were put into the history"
    if asked != Detector.AUTO:
        return f"{row.detector} was asked for; on {known} its VUS-PR is {row.vus_pr or 0:.2f}."
    others = [one.row for one in found[1:] if one.row.vus_pr is not None and one.row.detector not in _NOBODY]
    if not others:
        return f"{row.detector} is best on {known}: its VUS-PR is {row.vus_pr or 0:.2f}."
    second, score, own = others[0].detector, others[0].vus_pr or 0.0, row.vus_pr or 0.0
    if score > own:
        return (
            f"{row.detector} is as good as {second} on {known} and takes less time: their VUS-PR is {own:.2f} and "
            f"{score:.2f}."
        )
    return f"{row.detector} is best on {known}: its VUS-PR is {own:.2f}, ahead of {second} with {score:.2f}."
