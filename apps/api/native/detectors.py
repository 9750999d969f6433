"""Detectors of an asset, their versions and thresholds."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.anomaly import detectors, presenting, thresholds
from apps.anomaly.models import Detector, Fit
from apps.anomaly.permissions import (
    managed_detector,
    visible_asset,
    visible_detector,
    visible_fit,
    worked_asset,
    worked_detector,
    worked_fit,
)
from apps.api.auth import KeyAuth
from apps.api.errors import conflict
from apps.api.native.bodies import Body
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import creating, in_thread, owner_of, who
from apps.api.site import also

router = Router(auth=KeyAuth(Scope.ANOMALY), tags=["Detectors"])
Kind = Literal["auto", "v4", "pca", "subsequence_pca", "isolation_forest", "spectral_residual", "matrix_profile",
               "seasonal", "rarity"]  # fmt: skip


class DetectorIn(Body):
    sensors: list[int] = Field(min_length=1, max_length=64, description="Ids of sensors that are watched together.")
    name: str = Field("", max_length=80)


class FitIn(Body):
    kind: Kind = Field("auto", description="auto is what a backtest finds best.")
    begin: datetime
    end: datetime
    budget: float | None = Field(None, gt=0, le=1e6, description="False alarms that are accepted.")
    per: Literal["day", "cent"] | None = Field(None, description="A day, or steps in a hundred.")
    serve: bool = Field(True, description="As soon as it is ready.")


class ThresholdIn(Body):
    threshold: float | None = Field(None, gt=0, lt=1e9, description="By hand; or a budget.")
    budget: float | None = Field(None, gt=0, le=1e6)
    per: Literal["day", "cent"] = "day"


class FitOut(Schema):
    id: int
    number: int
    asked: str
    kind: str
    state: Literal["preparing", "fitting", "ready", "failed"]
    problem: str
    stage: str
    fraction: float
    begin: float
    end: float
    is_serving: bool
    report: dict[str, Any] = Field(description="The backtest: rows by detector, the best first.")


class DetectorOut(Schema):
    id: int
    name: str
    asset: UUID
    sensors: list[int]
    state: Literal["new", "watching", "paused"]
    fit: FitOut | None = Field(description="The version that serves.")
    threshold: float | None
    budget: float
    per: str
    is_by_hand: bool
    scored_to: float | None = Field(description="Seconds since the epoch.")
    problem: str
    drift: float | None = Field(description="Share of the last day's steps above the calibration's median.")
    is_drifting: bool


class HistoryIn(Schema):
    days: int = Field(30, ge=1, le=366)


class ThresholdsOut(Schema):
    days: int
    begin: float
    end: float
    threshold: float | None
    thresholds: list[float]
    alarms: list[int] = Field(description="That each would have raised.")
    real: list[int] = Field(description="Of these, those that nobody has called false.")
    suggested: float | None = Field(description="By the budget.")


def _detector(row: Detector) -> DetectorOut:
    return DetectorOut(**presenting.detector(row))


def _fit(row: Fit) -> FitOut:
    return FitOut(**presenting.fit(row))


@router.get("/anomaly/assets/{uuid:asset_id}/detectors", response=Page[DetectorOut], summary="List detectors")
@in_thread
def list_detectors(request: HttpRequest, asset_id: UUID, paging: Query[Paging]) -> dict[str, Any]:
    rows = visible_asset(owner_of(request), asset_id).detectors.select_related("fit")
    return page_of(rows, ("id",), paging, _detector)


@router.post("/anomaly/assets/{uuid:asset_id}/detectors", response={201: DetectorOut}, summary="Make a detector")
@creating
def create_detector(request: HttpRequest, asset_id: UUID, payload: DetectorIn) -> DetectorOut:
    asset = worked_asset(owner_of(request), asset_id)
    found = {one.pk: one for one in asset.sensors.filter(pk__in=payload.sensors)}
    if set(found) != set(payload.sensors):
        raise ValueError("sensors: are not all of this asset")
    order = list(dict.fromkeys(payload.sensors))
    return _detector(detectors.create(asset=asset, sensors=[found[one] for one in order], name=payload.name))


@router.get("/anomaly/detectors/{int:detector_id}", response=DetectorOut, summary="Read a detector")
@in_thread
def get_detector(request: HttpRequest, detector_id: int) -> DetectorOut:
    return _detector(visible_detector(owner_of(request), detector_id))


@router.delete("/anomaly/detectors/{int:detector_id}", response={204: None}, summary="Delete a detector")
@in_thread
def delete_detector(request: HttpRequest, detector_id: int) -> None:
    """With its versions and scores; incidents stay."""
    detectors.delete(detector=managed_detector(owner_of(request), detector_id), **who(request))


@router.put("/anomaly/detectors/{int:detector_id}/threshold", response=DetectorOut, summary="Set a threshold")
@in_thread
def set_detector_threshold(request: HttpRequest, detector_id: int, payload: ThresholdIn) -> DetectorOut:
    """By hand, or by a budget of false alarms: then feedback moves it."""
    found = worked_detector(owner_of(request), detector_id)
    if payload.threshold is not None:
        return _detector(detectors.set_threshold(detector=found, threshold=payload.threshold))
    if payload.budget is None:
        raise ValueError("threshold: give one, or a budget")
    return _detector(detectors.set_budget(detector=found, budget=payload.budget, per=payload.per))


@router.get(
    "/anomaly/detectors/{int:detector_id}/thresholds", response=ThresholdsOut, summary="Try thresholds on the past"
)
@in_thread
def try_thresholds(request: HttpRequest, detector_id: int, asked: Query[HistoryIn]) -> ThresholdsOut:
    return ThresholdsOut(**thresholds.on_history(visible_detector(owner_of(request), detector_id), asked.days))


@router.post(
    "/anomaly/detectors/{int:detector_id}/pause", response=DetectorOut, openapi_extra=also(409),
    summary="Pause a detector",
)  # fmt: skip
@in_thread
def pause_detector(request: HttpRequest, detector_id: int) -> DetectorOut:
    """409 when it does not watch."""
    found = worked_detector(owner_of(request), detector_id)
    if not detectors.pause(detector=found):
        raise conflict("The detector does not watch.")
    return _detector(visible_detector(owner_of(request), detector_id))


@router.post(
    "/anomaly/detectors/{int:detector_id}/resume", response=DetectorOut, openapi_extra=also(409),
    summary="Let a detector go on",
)  # fmt: skip
@in_thread
def resume_detector(request: HttpRequest, detector_id: int) -> DetectorOut:
    """What came meanwhile raises no alarm. 409 when it is not paused."""
    found = worked_detector(owner_of(request), detector_id)
    if not detectors.resume(detector=found):
        raise conflict("The detector is not paused.")
    return _detector(visible_detector(owner_of(request), detector_id))


@router.get("/anomaly/detectors/{int:detector_id}/fits", response=Page[FitOut], summary="List versions of a detector")
@in_thread
def list_fits(request: HttpRequest, detector_id: int, paging: Query[Paging]) -> dict[str, Any]:
    """The newest first."""
    rows = visible_detector(owner_of(request), detector_id).fits.select_related("detector")
    return page_of(rows, ("-number", "-id"), paging, _fit)


@router.post("/anomaly/detectors/{int:detector_id}/fits", response={201: FitOut}, summary="Fit a detector")
@creating
def fit_detector(request: HttpRequest, detector_id: int, payload: FitIn) -> FitOut:
    """On the readings of a span, in the background: read the version until it is ready."""
    found = worked_detector(owner_of(request), detector_id)
    values = payload.dict(include={"kind", "begin", "end", "budget", "per"})
    for name in ("begin", "end"):
        if values[name].tzinfo is None:
            raise ValueError(f"{name}: say the time zone")
    made = detectors.fit(detector=found, actor=owner_of(request), serves_at_once=payload.serve, **values)
    return _fit(made)


@router.get("/anomaly/fits/{int:fit_id}", response=FitOut, summary="Read a version of a detector")
@in_thread
def get_fit(request: HttpRequest, fit_id: int) -> FitOut:
    return _fit(visible_fit(owner_of(request), fit_id))


@router.post("/anomaly/fits/{int:fit_id}/serve", response=DetectorOut, summary="Let a version serve")
@in_thread
def serve_fit(request: HttpRequest, fit_id: int) -> DetectorOut:
    """An earlier one is gone back to the same way."""
    found = worked_fit(owner_of(request), fit_id)
    detectors.serve(fit=found, actor=owner_of(request))
    return _detector(visible_detector(owner_of(request), found.detector_id))
