"""What the lists of the pages show. Each is one query, however long the list."""

from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Max, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.accounts.models import User
from apps.anomaly.models import Asset, Comment, Delivery, Detector, Finding, Fit, Incident, Sensor, Silence
from apps.anomaly.permissions import visible_assets, visible_deliveries, visible_incidents

UNSETTLED = (Incident.State.OPEN, Incident.State.ACKNOWLEDGED)
GRAVEST_FIRST = {"critical": 0, "warning": 1, "info": 2}


def assets_of(user: User) -> QuerySet[Asset]:
    """With how many sensors and unsettled incidents each has, and when something of it came last."""
    sensors = Sensor.objects.filter(asset=OuterRef("pk")).order_by().values("asset")
    unsettled = Incident.objects.filter(asset=OuterRef("pk"), state__in=UNSETTLED).order_by().values("asset")
    return (
        visible_assets(user)
        .select_related("owner", "team", "plant")
        .annotate(
            sensor_count=Coalesce(Subquery(sensors.annotate(n=Count("pk")).values("n")), 0),
            heard_at=Subquery(sensors.annotate(at=Max("last_at")).values("at")),
            unsettled=Coalesce(Subquery(unsettled.annotate(n=Count("pk")).values("n")), 0),
        )
        .order_by("-unsettled", "name", "pk")
    )


def sensors_of(asset: Asset) -> list[Sensor]:
    return list(asset.sensors.prefetch_related("detectors"))


def detectors_of(asset: Asset) -> list[Detector]:
    return list(asset.detectors.select_related("fit").prefetch_related("sensors"))


def with_fits(asset: Asset) -> list[Detector]:
    """Each with its versions, the newest first."""
    fits = Fit.objects.select_related("job", "created_by")
    return list(asset.detectors.select_related("fit").prefetch_related("sensors", Prefetch("fits", fits)))


def told(incidents: QuerySet[Incident]) -> QuerySet[Incident]:
    """With what their titles and lines say."""
    findings = Finding.objects.select_related("sensor", "detector").prefetch_related("detector__sensors")
    return incidents.select_related("asset", "assignee").prefetch_related(Prefetch("findings", findings))


def recent_incidents(asset: Asset, most: int = 12) -> list[Incident]:
    """Of an asset, those that wait for somebody first, then the newest."""
    order = Q(state__in=UNSETTLED)
    found = told(asset.incidents.all()).annotate(waits=order).order_by("-waits", "-began_at", "-pk")
    return list(found[:most])


def incidents_of(user: User, chosen: dict[str, str]) -> QuerySet[Incident]:
    """Those that somebody sees and has asked for: `state` (unsettled, all, or one), `asset`, `severity`, `mine`."""
    found = visible_incidents(user)
    state = chosen.get("state", "")
    if state in Incident.State.values:
        found = found.filter(state=state)
    elif state != "all":
        found = found.filter(state__in=UNSETTLED)
    if (asset := _uuid(chosen.get("asset", ""))) is not None:
        found = found.filter(asset_id=asset)
    if chosen.get("severity") in GRAVEST_FIRST:
        found = found.filter(severity=chosen["severity"])
    if chosen.get("mine"):
        found = found.filter(assignee=user)
    return told(found).order_by("-began_at", "-pk")


def comments_of(incident: Incident) -> list[Comment]:
    return list(incident.comments.select_related("author"))


def silences_of(asset: Asset, days: int = 7) -> list[Silence]:
    """Those that hold, are to come, or ended lately."""
    since = timezone.now() - timedelta(days=days)
    return list(asset.silences.filter(ends_at__gt=since).select_related("sensor", "created_by"))


def deliveries_of(user: User, chosen: dict[str, str]) -> QuerySet[Delivery]:
    found = visible_deliveries(user)
    if chosen.get("state") in Delivery.State.values:
        found = found.filter(state=chosen["state"])
    if chosen.get("channel") in Delivery.Channel.values:
        found = found.filter(channel=chosen["channel"])
    if (asset := _uuid(chosen.get("asset", ""))) is not None:
        found = found.filter(incident__asset_id=asset)
    return found.select_related("incident__asset", "rule").order_by("-created_at", "-pk")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
