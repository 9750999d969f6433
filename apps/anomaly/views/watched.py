"""What was found, for charts and lists: scores, thresholds, incidents, as JSON (docs/anomaly.md)."""

import math
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, senders_only
from apps.anomaly import bands, detectors, presenting, queries, rules, series, spans, thresholds
from apps.anomaly.models import Incident, Sensor, Severity
from apps.anomaly.permissions import (
    visible_asset,
    visible_detector,
    visible_fit,
    visible_incident,
    visible_incidents,
    worked_detector,
)
from apps.anomaly.points import seconds
from apps.anomaly.views.answering import as_json
from contracts.anomaly import FitReport

_MOST_DAYS = 366


@members_only
@require_safe
@as_json
def scores(request: HttpRequest, detector_id: int) -> dict[str, Any]:
    detector = visible_detector(request.user, detector_id)
    begin, end = spans.span(request.GET, detector.scored_to)
    points = spans.points(request.GET)
    interval = FitReport.from_dict(detector.fit.report).interval if detector.fit and detector.fit.report else None
    found = series.drawn(series.SCORES, detector.pk, begin, end, points=points, interval=interval)
    said = found.as_json()
    return {
        "begin": seconds(begin), "end": seconds(end), "detector": detector.pk, "threshold": detector.threshold,
        "level": found.level, "times": said["times"], "scores": said["values"],
        "bands": bands.of(detector, found) if found.level == series.RAW else [],
    }  # fmt: skip


@members_only
@require_safe
@as_json
def on_history(request: HttpRequest, detector_id: int) -> dict[str, Any]:
    """How many alarms each threshold would have raised."""
    detector = visible_detector(request.user, detector_id)
    return thresholds.on_history(detector, spans.whole(request.GET, "days", 30, _MOST_DAYS))


@senders_only
@require_POST
@as_json
def set_threshold(request: HttpRequest, detector_id: int) -> dict[str, Any]:
    detector = worked_detector(request.user, detector_id)
    if "threshold" in request.POST:
        detectors.set_threshold(detector=detector, threshold=_number(request, "threshold"))
    else:
        detectors.set_budget(detector=detector, budget=_number(request, "budget"), per=request.POST.get("per", "day"))
    return presenting.detector(detector)


@members_only
@require_safe
@as_json
def detector(request: HttpRequest, detector_id: int) -> dict[str, Any]:
    return presenting.detector(visible_detector(request.user, detector_id))


@members_only
@require_safe
@as_json
def fit(request: HttpRequest, fit_id: int) -> dict[str, Any]:
    return presenting.fit(visible_fit(request.user, fit_id))


@members_only
@require_safe
@as_json
def spans_of(request: HttpRequest, asset_id: UUID) -> dict[str, Any]:
    asset = visible_asset(request.user, asset_id)
    begin, end = spans.span(request.GET, spans.newest(asset))
    return {"spans": [presenting.span(one) for one in queries.spans_of(asset, begin, end)]}


@members_only
@require_safe
@as_json
def incident_list(request: HttpRequest, asset_id: UUID) -> dict[str, Any]:
    """`after` is where the page before has ended."""
    asset = visible_asset(request.user, asset_id)
    state = request.GET.get("state", "")
    if state and state not in Incident.State.values:
        raise ValueError(f"state: is one of {', '.join(Incident.State.values)}")
    sensor = spans.whole(request.GET, "sensor", 1, 2**31 - 1) if request.GET.get("sensor") else None
    rows = queries.incidents_of(asset, state=state, sensor=sensor)
    if before := spans.moment(request.GET.get("after", ""), "after"):
        rows = rows.filter(began_at__lt=before)
    found = list(rows[: queries.PAGE + 1])
    names = queries.sensor_names(asset.pk)
    shown = found[: queries.PAGE]
    following = seconds(shown[-1].began_at) if len(found) > len(shown) else None
    return {"incidents": [presenting.incident(one, names) for one in shown], "next": following}


@members_only
@require_safe
@as_json
def incident(request: HttpRequest, incident_id: UUID) -> dict[str, Any]:
    found = queries.with_comments(visible_incidents(request.user)).get(
        pk=visible_incident(request.user, incident_id).pk
    )
    return presenting.incident_with_all(found, queries.sensor_names(found.asset_id))


@members_only
@require_safe
@as_json
def live(request: HttpRequest, asset_id: UUID) -> dict[str, Any]:
    return queries.live(visible_asset(request.user, asset_id))


@members_only
@require_safe
@as_json
def silence_preview(request: HttpRequest, asset_id: UUID) -> dict[str, Any]:
    """With `begin` and `end` the hours of their day count, on every day."""
    asset = visible_asset(request.user, asset_id)
    days = spans.whole(request.GET, "days", 30, _MOST_DAYS)
    sensor = None
    if request.GET.get("sensor"):
        sensor = get_object_or_404(Sensor, pk=spans.whole(request.GET, "sensor", 1, 2**31 - 1), asset=asset)
    begin, end = (spans.moment(request.GET.get(name, ""), name) for name in ("begin", "end"))
    hours = None
    if begin and end and end - begin < timedelta(days=1):
        hours = (begin.timestamp() % 86_400, end.timestamp() % 86_400)
    count, quiet = rules.preview(asset=asset, days=days, sensor=sensor, hours=hours,
                                 severity=request.GET.get("severity") or Severity.CRITICAL)  # fmt: skip
    names = queries.sensor_names(asset.pk)
    examples = [presenting.incident(one, names) for one in quiet[:20]]
    return {"days": days, "incidents": count, "silenced": len(quiet), "examples": examples}


def _number(request: HttpRequest, name: str) -> float:
    try:
        found = float(request.POST.get(name, ""))
    except ValueError:
        found = math.nan
    if not np.isfinite(found):
        raise ValueError(f"{name}: must be a finite number")
    return found
