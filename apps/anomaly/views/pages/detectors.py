"""Detectors of an asset: fitted on a history that somebody chose, compared, put to work, rolled back."""

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from apps.accounts.decorators import members_only, person
from apps.anomaly import detectors, lists
from apps.anomaly.models import Asset, Detector, Fit
from apps.anomaly.models.detectors import KINDS
from apps.anomaly.page_forms import DetectorForm, FitForm
from apps.anomaly.permissions import managed_detector, visible_asset, worked_asset, worked_detector, worked_fit
from apps.anomaly.views.pages.assets import asset_context
from apps.anomaly.views.pages.board import BUDGETS
from apps.anomaly.views.pages.doing import address_of, doing
from apps.quotas.refusing import valid

_HISTORY = timedelta(days=30)


def page_of(asset: Asset) -> str:
    return reverse("anomaly:detectors", args=[asset.pk])


def _page_of_detector(detector: Detector) -> str:
    return page_of(detector.asset)


def _page_of_fit(fit: Fit) -> str:
    return page_of(fit.detector.asset)


@members_only
@require_safe
def page(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    context = _context(request, visible_asset(request.user, asset_id))
    return render(request, "anomaly/detectors.html", context)


@members_only
@require_safe
def live(request: HttpRequest, asset_id: UUID) -> HttpResponse:
    """The part that changes while something is fitted."""
    context = _context(request, visible_asset(request.user, asset_id))
    return render(request, "anomaly/_detectors.html", context)


def _context(request: HttpRequest, asset: Asset) -> dict[str, object]:
    sensors, found = lists.sensors_of(asset), lists.with_fits(asset)
    newest = max((sensor.last_at for sensor in sensors if sensor.last_at), default=timezone.now())
    return {
        "detectors": found,
        "sensors": sensors,
        "has_readings": any(sensor.last_at for sensor in sensors),
        "is_busy": any(not fit.is_over for detector in found for fit in detector.fits.all()),
        "kinds": [(kind.value, name) for kind, name in KINDS.items()],
        "budgets": BUDGETS,
        "begin": newest - _HISTORY,
        "end": newest,
        **asset_context(request, asset, "detectors"),
    }


@doing(worked_asset, page_of)
def create(request: HttpRequest, asset: Asset) -> None:
    """A detector, and the first of its versions."""
    data = valid(DetectorForm(request.POST, asset=asset)).cleaned_data
    made = detectors.create(asset=asset, sensors=list(data["sensors"]), name=data["name"])
    _fit(request, made, data)


@doing(worked_detector, _page_of_detector)
def fit(request: HttpRequest, detector: Detector) -> None:
    _fit(request, detector, valid(FitForm(request.POST)).cleaned_data)


def _fit(request: HttpRequest, detector: Detector, data: dict[str, object]) -> None:
    budget, per = data["budget"]  # type: ignore[misc]
    detectors.fit(
        detector=detector, kind=data["kind"], begin=data["begin"], end=data["end"], budget=budget, per=per,
        actor=person(request),
    )  # fmt: skip
    messages.success(request, _("%(name)s is being fitted. You can leave this page.") % {"name": detector.name})


@doing(worked_fit, _page_of_fit)
def serve(request: HttpRequest, fit: Fit) -> None:
    before = fit.detector.fit
    detectors.serve(fit=fit, actor=person(request))
    done = _("Rolled back to v%(n)s") if before and before.number > fit.number else _("v%(n)s watches now")
    messages.success(request, done % {"n": fit.number})


@doing(worked_detector, _page_of_detector)
def pause(request: HttpRequest, detector: Detector) -> None:
    detectors.pause(detector=detector)
    messages.success(request, _("%(name)s is paused") % {"name": detector.name})


@doing(worked_detector, _page_of_detector)
def resume(request: HttpRequest, detector: Detector) -> None:
    detectors.resume(detector=detector)
    messages.success(request, _("%(name)s watches again") % {"name": detector.name})


@doing(managed_detector, _page_of_detector)
def delete(request: HttpRequest, detector: Detector) -> None:
    detectors.delete(detector=detector, actor=person(request), address=address_of(request))
    messages.success(request, _("%(name)s is deleted") % {"name": detector.name})
