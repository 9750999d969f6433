"""Readings on their way out to charts and files, and in from files."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.anomaly import assets, exports, plant, presenting, series, spans, uploads
from apps.anomaly.forms import LayoutForm, MappingForm, UploadForm
from apps.anomaly.models import Layout, Plant, Sensor
from apps.anomaly.permissions import visible_asset, visible_upload, worked_asset, worked_upload
from apps.anomaly.points import seconds
from apps.anomaly.views.answering import as_json
from apps.quotas.refusing import valid


@members_only
@require_safe
@as_json
def of_sensors(request: HttpRequest, asset_id: UUID) -> dict[str, Any]:
    asset = visible_asset(request.user, asset_id)
    sensors = spans.sensors(asset, request.GET.get("sensors", ""))
    begin, end = spans.span(request.GET, spans.newest(asset))
    points = spans.points(request.GET)

    def drawn(one: Sensor) -> dict[str, Any]:
        found = series.drawn(series.READINGS, one.pk, begin, end, points=points, interval=one.interval)
        return {**presenting.sensor_head(one), **found.as_json()}

    return {"begin": seconds(begin), "end": seconds(end), "sensors": [drawn(one) for one in sensors]}


@members_only
@require_safe
@as_json
def export(request: HttpRequest, asset_id: UUID) -> HttpResponseBase:
    asset = visible_asset(request.user, asset_id)
    begin, end = spans.span(request.GET, spans.newest(asset))
    return exports.download(asset, spans.sensors(asset, request.GET.get("sensors", "")), begin, end)


@senders_only
@require_POST
@as_json
def upload(request: HttpRequest) -> HttpResponseBase:
    """Its address is one for all assets: how large a body may be is decided by that (deepseek_web/body_limit.py)."""
    asset = worked_asset(request.user, valid(UploadForm(request.POST)).cleaned_data["asset"])
    file = request.FILES.get("file")
    if file is None:
        raise ValueError("file: choose one first")
    made = uploads.receive(asset=asset, owner=person(request), file=file)
    return JsonResponse(presenting.upload(made), status=202)


@members_only
@require_safe
@as_json
def upload_state(request: HttpRequest, readings_upload_id: UUID) -> dict[str, Any]:
    return presenting.upload(visible_upload(request.user, readings_upload_id))


@senders_only
@require_POST
@as_json
def upload_read(request: HttpRequest, readings_upload_id: UUID) -> dict[str, Any]:
    found = worked_upload(request.user, readings_upload_id)
    mapping = valid(MappingForm(request.POST)).cleaned_data["mapping"]
    return presenting.upload(uploads.begin(upload=found, mapping=mapping))


@senders_only
@require_POST
@as_json
def upload_cancel(request: HttpRequest, readings_upload_id: UUID) -> dict[str, Any]:
    found = worked_upload(request.user, readings_upload_id)
    uploads.cancel(upload=found)
    return presenting.upload(found)


@members_only
@require_http_methods(["GET", "HEAD", "POST"])
@as_json
def layout(request: HttpRequest, asset_id: UUID) -> dict[str, Any]:
    """One's own."""
    asset = visible_asset(request.user, asset_id)
    if request.method == "POST":
        content = valid(LayoutForm(request.POST)).cleaned_data["content"]
        return {"content": assets.save_layout(asset=asset, user=person(request), content=content).content}
    found = Layout.objects.filter(asset=asset, user=person(request)).first()
    return {"content": found.content if found else {}}


@senders_only
@require_POST
@as_json
def faults(request: HttpRequest, asset_id: UUID) -> dict[str, Any]:
    """Put one into a simulated plant."""
    found = get_object_or_404(Plant, asset=worked_asset(request.user, asset_id))
    numbers = {"seconds": 60.0, "size": 8.0}
    for name in numbers:
        try:
            numbers[name] = float(request.POST.get(name) or numbers[name])
        except ValueError:
            raise ValueError(f"{name}: must be a finite number") from None
    kind, sensor = request.POST.get("kind", ""), request.POST.get("sensor", "")
    return {"faults": plant.inject(plant=found, kind=kind, sensor=sensor, **numbers)}
