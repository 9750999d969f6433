"""Thresholds of a detector: what its budget gives, what feedback has taught, and how many alarms each would have raised
on its history."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import Q, QuerySet
from django.utils import timezone
from numpy.typing import NDArray

from apps.anomaly import series
from apps.anomaly.models import AlertRule, Detector, Finding, Incident
from apps.anomaly.points import seconds
from contracts import conformal
from contracts.conformal import Calibration

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_CANDIDATES = 64
_RENEWALS = 20  # of a calibration while as many steps come as it has
_RENEWAL = timedelta(hours=1)  # at least between two
_TIME_TO_JUDGE = timedelta(days=1)
_MOST_RAW = 150_000  # scores that are looked at one by one; of more the highest of each minute
State = Incident.State


@dataclass(frozen=True, slots=True)
class Terms:
    """When a score is an alarm, and when alarms are one: in seconds, and shares of the threshold."""

    for_seconds: float = 0.0
    clear_ratio: float = 0.8
    group_seconds: float = 300.0


def terms_of(detector: Detector) -> Terms:
    """Those of the rule that fires first."""
    rules = AlertRule.objects.filter(asset=detector.asset_id, on=AlertRule.On.SCORE, is_active=True)
    mine = [rule for rule in rules if applies(rule, detector)]
    group = float(detector.asset.group_seconds)
    first = min(mine, key=lambda rule: rule.for_seconds, default=None)
    return Terms(first.for_seconds, first.clear_ratio, group) if first else Terms(group_seconds=group)


def applies(rule: AlertRule, detector: Detector) -> bool:
    return rule.detector_id in (None, detector.pk) and rule.sensor_id in (None, *detector.columns)


def alarms(times: Floats, scores: Floats, threshold: float, terms: Terms) -> tuple[Floats, Floats]:
    """[N] begins and ends of the incidents that this threshold would have made of [T] scores in their order: above the
    threshold an alarm begins, below its share of that it is over, those close to each other are one."""
    above, below = scores > threshold, scores < threshold * terms.clear_ratio
    events = np.flatnonzero(above | below)
    rising = above[events]
    first = np.flatnonzero(rising & ~np.r_[False, rising[:-1]])
    falls = np.flatnonzero(~rising)
    behind = np.searchsorted(falls, first)
    last = np.array([events[falls[n]] - 1 if n < len(falls) else len(times) - 1 for n in behind], np.int64)
    begins, ends = times[events[first]], times[last] if len(last) else np.zeros(0)
    lasting = ends - begins >= terms.for_seconds
    begins, ends = begins[lasting], ends[lasting]
    new = np.ones(len(begins), bool)
    new[1:] = begins[1:] - ends[:-1] > terms.group_seconds
    starts = np.flatnonzero(new)
    return begins[starts], ends[np.r_[starts[1:] - 1, len(ends) - 1]] if len(starts) else ends[:0]


def on_history(detector: Detector, days: int) -> dict[str, Any]:
    """`thresholds` of docs/anomaly.md."""
    end = detector.scored_to or timezone.now()
    begin = end - timedelta(days=days)
    times, scores = history(detector, begin, end)
    terms, suggested = terms_of(detector), suggestion(detector)
    candidates = _candidates(scores, [detector.threshold, suggested])
    spans = _real_spans(detector, begin)
    counts, real = [], []
    for candidate in candidates:
        begins, ends = alarms(times, scores, candidate, terms)
        counts.append(len(begins))
        real.append(int(_touch(begins, ends, spans).sum()))
    return {
        "days": days, "begin": seconds(begin), "end": seconds(end), "threshold": detector.threshold,
        "thresholds": candidates, "alarms": counts, "real": real, "suggested": suggested,
    }  # fmt: skip


def history(detector: Detector, begin: datetime, end: datetime) -> tuple[Floats, Floats]:
    if series.counted(series.SCORES, detector.pk, begin, end) <= _MOST_RAW:
        return series.raw(series.SCORES, detector.pk, begin, end)
    return series.peaks(series.SCORES, detector.pk, begin, end, 60)


def suggestion(detector: Detector) -> float | None:
    """What the budget gives; None while the calibration is too short to promise it."""
    found = conformal.threshold(calibration_of(detector), detector.budget, detector.per)
    return found if math.isfinite(found) else None


def by_budget(detector: Detector) -> float | None:
    """The suggestion; without one the highest score of normal steps there was."""
    if (found := suggestion(detector)) is not None:
        return found
    return max(calibration_of(detector).scores, default=None)


def calibration_of(detector: Detector) -> Calibration:
    return Calibration.from_dict(detector.calibration) if detector.calibration else Calibration()


def recalibrate(detector: Detector, now: datetime | None = None) -> None:
    """From the last steps, as many as its fit was calibrated on, and what people have said since it serves: the steps
    of true alarms are left out, those of false ones kept however old. The threshold follows, unless somebody has set
    it."""
    if detector.fit is None or detector.watches_from is None:
        return
    now = now or timezone.now()
    base, interval = Calibration.from_dict(detector.fit.report["calibration"]), detector.fit.report["interval"]
    until = detector.scored_to or detector.watches_from
    size = min(math.ceil(base.total), _MOST_RAW)
    begin = max(detector.watches_from, until - timedelta(seconds=size * interval))
    findings = Finding.objects.filter(detector=detector, began_at__gt=detector.watches_from)
    false = findings.filter(incident__state=State.FALSE_ALARM)
    recent = _without(*series.raw(series.SCORES, detector.pk, begin, until), [*_unusual(findings, now), *false])
    found = conformal.renewed(base, recent, interval)
    runs = [series.raw(series.SCORES, detector.pk, one.began_at, one.last_at)[1].tolist() for one in false]
    found = conformal.recalibrated(found, runs)
    detector.calibration = found.to_dict()
    if not detector.is_by_hand:
        detector.threshold = by_budget(detector)
    detector.renews_at = now + max(_RENEWAL, timedelta(seconds=size * interval / _RENEWALS))
    detector.save(update_fields=["calibration", "threshold", "renews_at"])


def _unusual(findings: QuerySet[Finding], now: datetime) -> QuerySet[Finding]:
    """Those that are no normal steps: true alarms, and for a day what goes on and nobody has judged. What is over
    counts at once: without its highest steps the threshold would come down with each renewal."""
    goes_on = Q(incident__state=State.OPEN, ended_at=None, began_at__gt=now - _TIME_TO_JUDGE)
    return findings.filter(goes_on | Q(incident__state__in=[State.RESOLVED, State.ACKNOWLEDGED]))


def _without(times: Floats, scores: Floats, findings: Iterable[Finding]) -> list[float | None]:
    kept = scores.copy()
    for one in findings:
        kept[(times >= seconds(one.began_at)) & (times <= seconds(one.ended_at or one.last_at))] = np.nan
    return [float(score) if math.isfinite(score) else None for score in kept]


def _candidates(scores: Floats, more: list[float | None]) -> list[float]:
    """Rising; from what a tenth of the steps is above to above all of them, denser at the top, with those in use."""
    known = [one for one in more if one is not None and math.isfinite(one)]
    if not len(scores):
        return sorted(set(known))
    low, high = float(np.quantile(scores, 0.9)), float(scores.max()) * 1.05
    shares = np.quantile(scores, 1 - np.geomspace(0.1, 1 / max(len(scores), 10), _CANDIDATES // 2))
    grid = np.linspace(low, high, _CANDIDATES // 2)
    return sorted({*np.round(np.r_[shares, grid], 6).tolist(), *known})


def _real_spans(detector: Detector, begin: datetime) -> list[tuple[float, float]]:
    rows = Finding.objects.filter(detector=detector, last_at__gte=begin).exclude(incident__state=State.FALSE_ALARM)
    return [(seconds(row.began_at), seconds(row.ended_at or row.last_at)) for row in rows]


def _touch(begins: Floats, ends: Floats, spans: list[tuple[float, float]]) -> NDArray[np.bool_]:
    found = np.zeros(len(begins), bool)
    for first, last in spans:
        found |= (begins <= last) & (ends >= first)
    return found
