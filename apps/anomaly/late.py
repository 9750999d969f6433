"""Readings that come behind what their detectors have scored: of the last few hundred steps they are scored again.

Whoever has stored them leaves the earliest with the detector, and the next look of the watch (each few seconds, so that
a sensor that is always late costs a bounded number of steps) takes the detector back to before it. From there it goes
on as after a lost state. What came too late even for that is drawn and never scored.
"""

import math
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from django.db.models import F, Max, QuerySet
from django.db.models.functions import Least

from apps.anomaly.models import Detector, Score, Sensor
from apps.anomaly.points import Points, microseconds, moment

STEPS = 600  # that a detector goes back at most
State = Detector.State


def mark(asset_id: UUID, new: Points) -> None:
    """Readings of the asset were committed. A request that is being put together may have them or not: then they count
    as late, and are at worst scored twice."""
    asked_to = _behind(asset_id, new)
    for detector in _with_steps(Detector.objects.filter(pk__in=asked_to)) if asked_to else ():
        mine = np.isin(new.series, detector.columns) & (new.times > microseconds(_first(detector)))
        late = new.times[mine & (new.times <= microseconds(asked_to[detector.pk]))]
        if len(late):
            earliest = moment(late.min())
            Detector.objects.filter(pk=detector.pk).update(late_from=Least(F("late_from"), earliest))


def _behind(asset_id: UUID, new: Points) -> dict[int, datetime]:
    """Detectors that some of these readings may be late for, with how far they have been asked. Mostly there are none:
    that costs one query."""
    watching = Detector.objects.filter(asset=asset_id, state=State.WATCHING).exclude(scored_to=None)
    found = list(watching.only("columns", "scored_to", "request_id", "sent_to"))
    is_unknown = any(one.request_id and one.sent_to is None for one in found)
    newest = dict(Sensor.objects.filter(asset=asset_id).values_list("pk", "last_at")) if is_unknown else {}
    series, firsts = np.unique(new.series, return_index=True)
    earliest = dict(zip(series.tolist(), new.times[firsts].tolist(), strict=True))
    behind = {}
    for one in found:
        asked_to = _asked_to(one, newest)
        if any(earliest.get(column, math.inf) <= microseconds(asked_to) for column in one.columns):
            behind[one.pk] = asked_to
    return behind


def go_back() -> None:
    """Detectors that have nothing under way, to before what came late. Their scores stay until there are others."""
    found = Detector.objects.filter(state=State.WATCHING, request_id="", late_from__lte=F("scored_to"))
    for detector in _with_steps(found):
        assert detector.late_from
        since = max(detector.late_from, _first(detector)) - _step(detector)  # the whole step that it is in
        newest = Score.objects.filter(detector_id=detector.pk).aggregate(at=Max("at"))["at"]
        # Another process may have sent it on, and another reading may have come, since it was looked at.
        same = Detector.objects.filter(
            pk=detector.pk, request_id="", scored_to=detector.scored_to, late_from=detector.late_from
        )
        again_to = max(filter(None, [detector.again_to, newest]), default=None)
        same.update(scored_to=since, late_from=None, again_to=again_to)


def _with_steps(detectors: QuerySet[Detector]) -> QuerySet[Detector]:
    """Without what is large in them: this is asked with all readings that are stored."""
    found = detectors.exclude(fit=None).annotate(interval=F("fit__report__interval"))
    return found.only("columns", "scored_to", "watches_from", "request_id", "sent_to", "late_from", "again_to")


def _asked_to(detector: Detector, newest: dict[int, datetime | None]) -> datetime:
    """Up to which reading it has been asked, or may have been."""
    assert detector.scored_to
    if not detector.request_id:
        return detector.scored_to
    if detector.sent_to is not None:
        return max(detector.scored_to, detector.sent_to)
    return max([detector.scored_to, *(at for one in detector.columns if (at := newest.get(one)) is not None)])


def _first(detector: Detector) -> datetime:
    """From where readings are scored again: alarms, too, are of what came since it has been watching."""
    assert detector.scored_to
    first = detector.scored_to - STEPS * _step(detector)
    return max(first, detector.watches_from or first)


def _step(detector: Detector) -> timedelta:
    return timedelta(seconds=detector.interval)  # type: ignore[attr-defined]  # from _with_steps
