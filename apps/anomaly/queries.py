"""What lists, pages and sockets show of assets."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet
from django.utils import timezone

from apps.anomaly import presenting
from apps.anomaly.models import Asset, Comment, Detector, Finding, Incident, Score, Sensor
from apps.anomaly.permissions import Person, visible_incidents

PAGE = 50
_SPANS = 500
_OPEN = (Incident.State.OPEN, Incident.State.ACKNOWLEDGED)


def with_findings(rows: QuerySet[Incident]) -> QuerySet[Incident]:
    findings = Finding.objects.select_related("detector", "sensor")
    return rows.select_related("asset", "assignee").prefetch_related(Prefetch("findings", findings))


def with_comments(rows: QuerySet[Incident]) -> QuerySet[Incident]:
    return with_findings(rows).prefetch_related(Prefetch("comments", Comment.objects.select_related("author")))


def sensor_names(*asset_ids: UUID) -> dict[int, str]:
    """By their ids, of all these assets."""
    return dict(Sensor.objects.filter(asset__in=asset_ids).values_list("pk", "name"))


def open_incidents(user: Person) -> int:
    """How many wait for somebody, of all that the user sees."""
    return visible_incidents(user).filter(state=Incident.State.OPEN).count()


def incidents_of(asset: Asset, *, state: str = "", sensor: int | None = None) -> QuerySet[Incident]:
    """The newest first."""
    found = Incident.objects.filter(asset=asset)
    if state:
        found = found.filter(state=state)
    if sensor is not None:
        touched = Finding.objects.filter(Q(sensor=sensor) | Q(columns__contains=[sensor]))
        found = found.filter(pk__in=touched.values("incident_id"))
    return with_findings(found).order_by("-began_at", "-pk")


def spans_of(asset: Asset, begin: datetime, end: datetime) -> list[Incident]:
    """Those that touch the span, the newest few hundred."""
    touching = Q(ended_at=None) | Q(ended_at__gte=begin)
    found = Incident.objects.filter(touching, asset=asset, began_at__lte=end)
    return list(with_findings(found).order_by("-began_at")[:_SPANS])


def live(asset: Asset, now: datetime | None = None) -> dict[str, Any]:
    """What a dashboard begins with (docs/anomaly.md: Live)."""
    now = now or timezone.now()
    detectors = Detector.objects.filter(asset=asset).exclude(state=Detector.State.NEW)
    return {
        "type": "live",
        "sensors": {str(one.pk): _sensor(one, now) for one in asset.sensors.all()},
        "incidents": Incident.objects.filter(asset=asset, state__in=_OPEN).count(),
        "detectors": {str(one.pk): _detector(one) for one in detectors},
    }


def _sensor(one: Sensor, now: datetime) -> dict[str, Any]:
    return {"at": presenting.at(one.last_at), "value": one.last_value, "is_stopped": one.overdue_since(now) is not None}


def _detector(one: Detector) -> dict[str, Any]:
    newest = Score.objects.filter(detector_id=one.pk).order_by("-at").first()
    return {"score": newest.value if newest else None, "at": presenting.at(newest.at) if newest else None,
            "problem": presenting.translated(one.problem)}  # fmt: skip
