"""Assets: the list of them, and what is set about one and its sensors."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.anomaly import assets, lists, plant
from apps.anomaly.forms import AssetForm, SensorForm
from apps.anomaly.models import Asset, Sensor
from apps.anomaly.permissions import managed_asset, managed_sensor, may_manage, may_work, visible_asset
from apps.anomaly.views.pages.doing import address_of, doing, tell
from apps.quotas.refusing import REFUSALS, valid

_PAGE = 30


def settings_of(asset: Asset) -> str:
    return reverse("anomaly:settings", args=[asset.pk])


@members_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    user = person(request)
    page = Paginator(lists.assets_of(user), _PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "form": AssetForm(user=user), "query": ""}
    return render(request, "anomaly/assets.html", context)


@senders_only
@require_POST
def create(request: HttpRequest) -> HttpResponse:
    try:
        form = valid(AssetForm(request.POST, user=person(request)))
        values = {name: value for name, value in form.cleaned_data.items() if name != "group_seconds"}
        made = assets.create(owner=person(request), **values)
    except REFUSALS as error:
        tell(request, error)
        return redirect("anomaly:assets")
    messages.success(request, _("%(name)s is made. Now give it readings.") % {"name": made.name})
    return redirect("anomaly:data", made.pk)


@senders_only
@require_POST
def create_plant(request: HttpRequest) -> HttpResponse:
    """A small simulated plant, to try everything with."""
    try:
        made = plant.create(owner=person(request))
    except REFUSALS as error:
        tell(request, error)
        return redirect("anomaly:assets")
    return redirect("anomaly:asset", made.pk)


@members_only
@require_safe
def settings(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    asset = visible_asset(request.user, asset_id)
    context = {
        "sensors": lists.sensors_of(asset),
        "form": AssetForm(user=person(request)),
        **asset_context(request, asset, "settings"),
    }
    return render(request, "anomaly/settings.html", context)


def asset_context(request: HttpRequest, asset: Asset, section: str) -> dict[str, Any]:
    """What the head of every page of an asset shows."""
    user = person(request)
    return {
        "asset": asset,
        "section": section,
        "works": user.may_send and may_work(user, asset),
        "manages": user.may_send and may_manage(user, asset),
        "is_simulated": hasattr(asset, "plant"),
    }


@doing(managed_asset, settings_of)
def change(request: HttpRequest, asset: Asset) -> None:
    form = valid(AssetForm(request.POST, user=person(request)))
    assets.change(asset=asset, **form.cleaned_data)
    messages.success(request, _("Saved"))


@doing(managed_asset, settings_of)
def delete(request: HttpRequest, asset: Asset) -> str:
    assets.delete(asset=asset, actor=person(request), address=address_of(request))
    messages.success(request, _("%(name)s is deleted") % {"name": asset.name})
    return reverse("anomaly:assets")


@doing(managed_asset, settings_of)
def add_sensor(request: HttpRequest, asset: Asset) -> None:
    form = valid(SensorForm(request.POST))
    made = assets.add_sensor(asset=asset, **form.cleaned_data)
    messages.success(request, _("%(name)s is added") % {"name": made.name})


@doing(managed_sensor, lambda sensor: settings_of(sensor.asset))
def change_sensor(request: HttpRequest, sensor: Sensor) -> None:
    form = valid(SensorForm(request.POST))
    assets.change_sensor(sensor=sensor, **form.cleaned_data)
    messages.success(request, _("Saved"))


@doing(managed_sensor, lambda sensor: settings_of(sensor.asset))
def delete_sensor(request: HttpRequest, sensor: Sensor) -> None:
    assets.delete_sensor(sensor=sensor, actor=person(request), address=address_of(request))
    messages.success(request, _("%(name)s and its readings are deleted") % {"name": sensor.name})
