"""The simulated plant: run it, stop it, and put faults into it."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from apps.accounts.decorators import members_only
from apps.anomaly import lists, plant
from apps.anomaly.models import Asset
from apps.anomaly.permissions import visible_asset, worked_asset
from apps.anomaly.views.pages.assets import asset_context
from apps.anomaly.views.pages.doing import doing

FAULTS = (
    ("spike", gettext_lazy("Spike"), gettext_lazy("Single readings far off, as from a loose contact.")),
    ("shift", gettext_lazy("Shift"), gettext_lazy("All readings higher, as after a wrong calibration.")),
    ("drift", gettext_lazy("Drift"), gettext_lazy("Slowly more and more, as when a bearing wears.")),
    ("noise", gettext_lazy("Noise"), gettext_lazy("Restless readings, as from a vibration.")),
    ("stuck", gettext_lazy("Stuck"), gettext_lazy("The same reading again and again.")),
    ("stop", gettext_lazy("Stop"), gettext_lazy("No readings at all.")),
)


@members_only
@require_safe
def page(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    asset = visible_asset(request.user, asset_id)
    if not hasattr(asset, "plant"):
        raise Http404
    context = {"faults": FAULTS, "sensors": lists.sensors_of(asset), **asset_context(request, asset, "simulator")}
    return render(request, "anomaly/simulator.html", context)


def _simulated(user: object, asset_id: UUID) -> Asset:
    asset = worked_asset(user, asset_id)  # type: ignore[arg-type]
    if not hasattr(asset, "plant"):
        raise Http404
    return asset


def _page_of(asset: Asset) -> str:
    return reverse("anomaly:simulator", args=[asset.pk])


@doing(_simulated, _page_of)
def start(request: HttpRequest, asset: Asset) -> None:
    plant.start(plant=asset.plant)
    messages.success(request, _("The plant runs"))


@doing(_simulated, _page_of)
def stop(request: HttpRequest, asset: Asset) -> None:
    plant.stop(plant=asset.plant)
    messages.success(request, _("The plant stands still"))
