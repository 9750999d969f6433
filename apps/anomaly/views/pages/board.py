"""The dashboard of an asset: its panels as somebody arranged them; the readings are fetched by its script."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.accounts.decorators import members_only, person
from apps.anomaly import lists
from apps.anomaly.models import Asset, Detector, Layout, Sensor
from apps.anomaly.page_forms import moment_of
from apps.anomaly.permissions import visible_asset
from apps.anomaly.views.pages.assets import asset_context

SPANS = (
    ("1h", 3600, _("1 h")),
    ("24h", 86_400, _("24 h")),
    ("7d", 7 * 86_400, _("7 days")),
    ("30d", 30 * 86_400, _("30 days")),
    ("365d", 365 * 86_400, _("1 year")),
)
# What somebody may accept, as the form sends it.
BUDGETS = (
    ("0.0333 day", _("1 a month")),
    ("0.1429 day", _("1 a week")),
    ("1 day", _("1 a day")),
    ("5 day", _("5 a day")),
    ("1 cent", _("1 of 100 steps")),
    ("3 cent", _("3 of 100 steps")),
    ("5 cent", _("5 of 100 steps")),
)


@members_only
@require_safe
def page(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    asset = visible_asset(request.user, asset_id)
    sensors, detectors = lists.sensors_of(asset), lists.detectors_of(asset)
    layout = Layout.objects.filter(asset=asset, user=person(request)).first()
    facts = _facts(request, asset, sensors)
    context = {
        "sensors": sensors,
        "panels": arranged(sensors, detectors, layout.content if layout else {}),
        "incidents": lists.recent_incidents(asset),
        "facts": facts,
        "spans": SPANS,
        "span": facts["span"],
        "budgets": BUDGETS,
        "is_wall": "wall" in request.GET,
        **asset_context(request, asset, "board"),
    }
    return render(request, "anomaly/asset.html", context)


@members_only
@require_safe
def found(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    """The list of incidents beside the charts."""
    asset = visible_asset(request.user, asset_id)
    context = {"incidents": lists.recent_incidents(asset), **asset_context(request, asset, "board")}
    return render(request, "anomaly/_found.html", context)


def arranged(sensors: list[Sensor], detectors: list[Detector], content: dict[str, Any]) -> list[dict[str, Any]]:
    """Panels in somebody's order. What is not in it comes where it would by itself: detectors below their sensors."""
    panels: dict[str, dict[str, Any]] = {}
    for detector in detectors:
        watched = [sensor for sensor in sensors if sensor in detector.sensors.all()]
        for sensor in watched:
            panels.setdefault(f"s{sensor.pk}", {"sensor": sensor})
        panels[f"d{detector.pk}"] = {"detector": detector, "watched": watched}
    for sensor in sensors:
        panels.setdefault(f"s{sensor.pk}", {"sensor": sensor})
    order = [key for key in _keys(content, "order") if key in panels]
    hidden, large = _keys(content, "hidden"), _keys(content, "large")
    keys = [*order, *(key for key in panels if key not in order)]
    return [panels[key] | {"key": key, "is_hidden": key in hidden, "is_large": key in large} for key in keys]


def _keys(content: dict[str, Any], name: str) -> list[str]:
    """Whatever a page may have stored."""
    found = content.get(name)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _facts(request: HttpRequest, asset: Asset, sensors: list[Sensor]) -> dict[str, Any]:
    """What the script needs: the stretch, in seconds since the epoch, and where to ask."""
    newest = max((sensor.last_at for sensor in sensors if sensor.last_at), default=None)
    name, seconds = _span(request, asset, sensors)
    end = _end(newest)
    begin = end - seconds
    shown = [moment_of(request.GET.get("begin", "")), moment_of(request.GET.get("end", ""))]
    is_shown = shown[0] is not None and shown[1] is not None and shown[0] < shown[1]
    if is_shown and (shown[0] < begin or shown[1] > end):
        # A link to the past: all of it lies around what is shown.
        room = 2 * (shown[1] - shown[0])
        begin, end = shown[0] - room, min(max(end, shown[1]), shown[1] + room)
    address = {"asset_id": asset.pk}
    return {
        "name": asset.name,
        "file": slugify(asset.name) or "signals",
        "span": name,
        "begin": begin,
        "end": end,
        "shown": shown if is_shown else None,
        "newest": newest.timestamp() if newest else None,
        "interval": max((sensor.interval or 0 for sensor in sensors), default=0),
        "series": reverse("anomaly:series", kwargs=address),
        "spans": reverse("anomaly:spans", kwargs=address),
        "layout": reverse("anomaly:layout", kwargs=address),
        "socket": f"/ws/anomaly/{asset.pk}/",
    }


def _end(newest: Any) -> float:
    """Of what comes live it is now, of a file its last reading."""
    now = timezone.now()
    return (now if newest is None or now - newest < timedelta(minutes=10) else newest).timestamp()


def _span(request: HttpRequest, asset: Asset, sensors: list[Sensor]) -> tuple[str, float]:
    """The one that is asked for; else one that all readings fill, or the newest thousands of them."""
    known = {name: float(seconds) for name, seconds, _label in SPANS}
    asked = request.GET.get("span", "")
    if asked not in known:
        each = min(5000.0, asset.stored / max(1, len(sensors)))
        usual = each * max((sensor.interval or 0 for sensor in sensors), default=0)
        fitting = [name for name, seconds in known.items() if seconds >= usual]
        asked = (fitting or [SPANS[-1][0]])[0] if usual else "24h"
    return asked, known[asked]
