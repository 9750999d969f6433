"""Files of readings: sent, looked at, and read once somebody has said what their columns are."""

import json
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.accounts.decorators import members_only
from apps.anomaly import uploads
from apps.anomaly.models import Asset, Upload
from apps.anomaly.permissions import visible_asset, visible_upload, worked_upload
from apps.anomaly.views.pages.assets import asset_context
from apps.anomaly.views.pages.doing import doing

_SHOWN = 30


@members_only
@require_safe
def page(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    asset = visible_asset(request.user, asset_id)
    first = asset.sensors.first()
    context = {
        "uploads": asset.uploads.all()[:_SHOWN],
        "command": _command(request, asset, first.key if first else "bearing"),
        **asset_context(request, asset, "data"),
    }
    return render(request, "anomaly/data.html", context)


def _command(request: HttpRequest, asset: Asset, sensor: str) -> str:
    """How another system sends a reading."""
    address = request.build_absolute_uri(f"/api/v1/anomaly/assets/{asset.pk}/readings")
    reading = {"sensor": sensor, "time": "2026-01-31T12:00:00Z", "value": 71.5}
    body = json.dumps({"readings": [reading], "create_sensors": True})
    headers = ["Authorization: Bearer $KEY", "Content-Type: application/json"]
    return " \\\n  ".join([f"curl {address}", *(f'-H "{header}"' for header in headers), f"-d '{body}'"])


@members_only
@require_safe
def upload(request: HttpRequest, readings_upload_id: UUID) -> HttpResponse:
    found = visible_upload(request.user, readings_upload_id)
    sensors = list(found.asset.sensors.values("key", "name", "unit"))
    context = {"upload": found, "sensors": sensors, **asset_context(request, found.asset, "data")}
    return render(request, "anomaly/upload.html", context)


@doing(worked_upload, lambda upload: reverse("anomaly:data", args=[upload.asset_id]))
def cancel(request: HttpRequest, upload: Upload) -> None:
    uploads.cancel(upload=upload)
