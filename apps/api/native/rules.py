"""Alert rules, silences and quiet hours of assets, and what was delivered."""

import datetime as dt
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.anomaly import rules
from apps.anomaly.models import AlertRule, Asset, Delivery, QuietHours, Silence
from apps.anomaly.permissions import (
    managed_asset,
    managed_rule,
    visible_asset,
    visible_deliveries,
    worked_asset,
    worked_silence,
)
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import creating, in_thread, owner_of, who

router = Router(auth=KeyAuth(Scope.ANOMALY), tags=["Alerts"])
On = Literal["score", "stopped", "dead"]
Severity = Literal["info", "warning", "critical"]


class RuleIn(Body):
    name: str = Field(min_length=1, max_length=80)
    on: On = Field("score", description="A score above the threshold, a sensor that has stopped, a detector that has.")
    detector: int | None = Field(None, ge=1, lt=2**31, description="null is all of the asset.")
    sensor: int | None = Field(None, ge=1, lt=2**31)
    severity: Severity = "warning"
    for_seconds: int = Field(0, ge=0, le=604_800, description="For which it has to hold.")
    clear_ratio: float = Field(0.8, ge=0.1, le=1, description="Over when below this share of the threshold.")
    emails: list[str] = Field([], max_length=20)
    webhook: str = Field("", max_length=500, description="Called with a POST that is signed; public addresses only.")
    in_app: bool = Field(True, description="Tell everybody who sees the asset.")
    tells_end: bool = True
    is_active: bool = True


class RuleOut(Schema):
    id: UUID
    asset: UUID
    name: str
    on: On
    detector: int | None
    sensor: int | None
    severity: Severity
    for_seconds: int
    clear_ratio: float
    emails: list[str]
    webhook: str
    in_app: bool
    tells_end: bool
    is_active: bool


class SecretOut(Schema):
    secret: str = Field(description="With which calls of the webhook are signed. Told once.")


class SilenceIn(Body):
    begins_at: dt.datetime
    ends_at: dt.datetime
    sensor: int | None = Field(None, ge=1, lt=2**31)
    severity: Severity = Field("critical", description="Up to this one.")
    reason: str = Field("", max_length=200)


class SilenceOut(Schema):
    id: UUID
    asset: UUID
    sensor: int | None
    severity: Severity
    begins_at: dt.datetime
    ends_at: dt.datetime
    reason: str


class QuietIn(Body):
    days: list[int] = Field(min_length=1, max_length=7, description="On which they begin: 0 is Monday.")
    begins: dt.time
    ends: dt.time
    time_zone: str = Field("UTC", max_length=60)
    severity: Severity = Field("warning", description="Up to this one.")


class QuietsIn(Body):
    quiet_hours: list[QuietIn] = Field(max_length=50)


class QuietOut(Schema):
    days: list[int]
    begins: dt.time
    ends: dt.time
    time_zone: str
    severity: Severity


class QuietsOut(Schema):
    quiet_hours: list[QuietOut]


class DeliveryOut(Schema):
    id: UUID
    incident: UUID
    event: Literal["opened", "graver", "ended"]
    severity: Severity
    channel: Literal["in_app", "email", "webhook"]
    target: str
    state: Literal["waiting", "sending", "sent", "failed", "silenced"]
    attempts: int
    status: int | None = Field(description="What a webhook has answered.")
    error: str
    created_at: dt.datetime
    sent_at: dt.datetime | None


def _rule(row: AlertRule) -> RuleOut:
    values = {name: getattr(row, name) for name in RuleOut.model_fields if name not in ("asset", "detector", "sensor")}
    return RuleOut(asset=row.asset_id, detector=row.detector_id, sensor=row.sensor_id, **values)


def _silence(row: Silence) -> SilenceOut:
    return SilenceOut(id=row.pk, asset=row.asset_id, sensor=row.sensor_id, severity=row.severity,
                      begins_at=row.begins_at, ends_at=row.ends_at, reason=row.reason)  # fmt: skip


def _quiets(asset: Asset) -> QuietsOut:
    def shown(row: QuietHours) -> QuietOut:
        return QuietOut(days=row.days, begins=row.begins, ends=row.ends, time_zone=row.time_zone, severity=row.severity)

    return QuietsOut(quiet_hours=[shown(row) for row in asset.quiet_hours.all()])


def _delivery(row: Delivery) -> DeliveryOut:
    values = {name: getattr(row, name) for name in DeliveryOut.model_fields if name != "incident"}
    return DeliveryOut(incident=row.incident_id, **values)


def _things(asset: Asset, values: dict[str, Any]) -> dict[str, Any]:
    """Ids as the things of the asset that they are. Raises ValueError."""
    for name, rows in (("detector", asset.detectors), ("sensor", asset.sensors)):
        if values.get(name) is not None:
            found = rows.filter(pk=values[name]).first()
            if found is None:
                raise ValueError(f"{name}: is none of this asset")
            values[name] = found
    return values


@router.get("/anomaly/assets/{uuid:asset_id}/rules", response=Page[RuleOut], summary="List alert rules")
@in_thread
def list_rules(request: HttpRequest, asset_id: UUID, paging: Query[Paging]) -> dict[str, Any]:
    return page_of(visible_asset(owner_of(request), asset_id).rules.all(), ("created_at", "id"), paging, _rule)


@router.post("/anomaly/assets/{uuid:asset_id}/rules", response={201: RuleOut}, summary="Make an alert rule")
@creating
def create_rule(request: HttpRequest, asset_id: UUID, payload: RuleIn) -> RuleOut:
    asset = managed_asset(owner_of(request), asset_id)
    return _rule(rules.create(asset=asset, **_things(asset, payload.dict()), **who(request)))


@router.put("/anomaly/rules/{uuid:rule_id}", response=RuleOut, summary="Change an alert rule")
@in_thread
def change_rule(request: HttpRequest, rule_id: UUID, payload: RuleIn) -> RuleOut:
    found = managed_rule(owner_of(request), rule_id)
    return _rule(rules.change(rule=found, **_things(found.asset, payload.dict()), **who(request)))


@router.delete("/anomaly/rules/{uuid:rule_id}", response={204: None}, summary="Delete an alert rule")
@in_thread
def delete_rule(request: HttpRequest, rule_id: UUID) -> None:
    """Its alarms end."""
    rules.delete(rule=managed_rule(owner_of(request), rule_id), **who(request))


@router.post("/anomaly/rules/{uuid:rule_id}/secret", response=SecretOut, summary="Make a new secret of a webhook")
@in_thread
def renew_rule_secret(request: HttpRequest, rule_id: UUID) -> SecretOut:
    """The old one signs nothing any more."""
    return SecretOut(secret=rules.new_secret(rule=managed_rule(owner_of(request), rule_id)))


@router.get("/anomaly/assets/{uuid:asset_id}/silences", response=Page[SilenceOut], summary="List silences")
@in_thread
def list_silences(request: HttpRequest, asset_id: UUID, paging: Query[Paging]) -> dict[str, Any]:
    return page_of(visible_asset(owner_of(request), asset_id).silences.all(), ("-ends_at", "-id"), paging, _silence)


@router.post("/anomaly/assets/{uuid:asset_id}/silences", response={201: SilenceOut}, summary="Silence an asset")
@creating
def create_silence(request: HttpRequest, asset_id: UUID, payload: SilenceIn) -> SilenceOut:
    """Incidents are kept, nobody is told of them."""
    asset = worked_asset(owner_of(request), asset_id)
    values = _things(asset, payload.dict())
    for name in ("begins_at", "ends_at"):
        if values[name].tzinfo is None:
            raise ValueError(f"{name}: say the time zone")
    return _silence(rules.silence(asset=asset, actor=owner_of(request), **values))


@router.delete("/anomaly/silences/{uuid:silence_id}", response={204: None}, summary="End a silence")
@in_thread
def end_silence(request: HttpRequest, silence_id: UUID) -> None:
    rules.end_silence(silence=worked_silence(owner_of(request), silence_id))


@router.get("/anomaly/assets/{uuid:asset_id}/quiet-hours", response=QuietsOut, summary="Read quiet hours")
@in_thread
def get_quiet_hours(request: HttpRequest, asset_id: UUID) -> QuietsOut:
    return _quiets(visible_asset(owner_of(request), asset_id))


@router.put("/anomaly/assets/{uuid:asset_id}/quiet-hours", response=QuietsOut, summary="Set quiet hours")
@in_thread
def set_quiet_hours(request: HttpRequest, asset_id: UUID, payload: QuietsIn) -> QuietsOut:
    """In place of those that it had. What is not critical waits until they are over."""
    asset = managed_asset(owner_of(request), asset_id)
    rules.set_quiet_hours(asset=asset, rows=[row.dict() for row in payload.quiet_hours])
    return _quiets(get_object_or_404(Asset, pk=asset.pk))


@router.get("/anomaly/deliveries", response=Page[DeliveryOut], summary="List deliveries")
@in_thread
def list_deliveries(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """One's own in the application, and those by mail and webhook of assets that one manages; the newest first."""
    return page_of(visible_deliveries(owner_of(request)), ("-created_at", "-id"), paging, _delivery)
