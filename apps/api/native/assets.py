"""Assets and their sensors: those that the key's owner sees."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.anomaly import assets
from apps.anomaly.forms import AssetForm
from apps.anomaly.models import Asset, Sensor
from apps.anomaly.models.assets import MOST_DAYS
from apps.anomaly.permissions import managed_asset, managed_sensor, visible_asset, visible_assets
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body, valid
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import creating, in_thread, key_of, owner_of, who

router = Router(auth=KeyAuth(Scope.ANOMALY), tags=["Assets and sensors"])


class AssetIn(Body):
    name: str = Field(min_length=1, max_length=80)
    about: str = Field("", max_length=4000)
    team: int | None = Field(None, ge=1, lt=2**31, description="Whose members see it.")
    tags: list[str] = Field([], max_length=20)
    group_seconds: int = Field(300, ge=0, le=604_800, description="Alarms within so many seconds are one incident.")


class AssetChange(Body):
    name: str = Field(default_factory=str, min_length=1, max_length=80)
    about: str = Field(default_factory=str, max_length=4000)
    team: int | None = Field(default_factory=lambda: None, ge=1, lt=2**31)
    tags: list[str] = Field(default_factory=list, max_length=20)
    group_seconds: int = Field(default_factory=int, ge=0, le=604_800)


class AssetOut(Schema):
    id: UUID
    name: str
    owner: str = Field(description="E-mail address.")
    team: int | None
    about: str
    tags: list[str]
    group_seconds: int
    readings: int = Field(description="That are kept, of all its sensors.")
    created_at: datetime


class SensorIn(Body):
    key: str = Field(pattern=r"^[-a-zA-Z0-9_]{1,80}$", description="By which programs call it.")
    name: str = Field("", max_length=80)
    unit: str = Field("", max_length=20)
    interval: float | None = Field(None, ge=0.001, le=31_536_000, description="Seconds between readings.")
    tags: list[str] = Field([], max_length=20)
    keep_days: int | None = Field(365, ge=1, le=MOST_DAYS, description="That readings are kept; null is for good.")


class SensorChange(Body):
    key: str = Field(default_factory=str, pattern=r"^[-a-zA-Z0-9_]{1,80}$")
    name: str = Field(default_factory=str, min_length=1, max_length=80)
    unit: str = Field(default_factory=str, max_length=20)
    interval: float | None = Field(default_factory=lambda: None, ge=0.001, le=31_536_000)
    tags: list[str] = Field(default_factory=list, max_length=20)
    keep_days: int | None = Field(default_factory=lambda: None, ge=1, le=MOST_DAYS)


class SensorOut(Schema):
    id: int
    asset: UUID
    key: str
    name: str
    unit: str
    interval: float | None
    tags: list[str]
    keep_days: int | None
    last_at: datetime | None = Field(description="Of the newest reading.")
    last_value: float | None


def _asset(row: Asset) -> AssetOut:
    return AssetOut(
        id=row.pk, name=row.name, owner=row.owner.email, team=row.team_id, about=row.about, tags=row.tags,
        group_seconds=row.group_seconds, readings=row.stored, created_at=row.created_at,
    )  # fmt: skip


def _sensor(row: Sensor) -> SensorOut:
    return SensorOut(
        id=row.pk, asset=row.asset_id, key=row.key, name=row.name, unit=row.unit, interval=row.interval, tags=row.tags,
        keep_days=row.keep_days, last_at=row.last_at, last_value=row.last_value,
    )  # fmt: skip


def _valid(request: HttpRequest, values: dict[str, Any]) -> dict[str, Any]:
    """By the form of the page, in which tags stand in one field."""
    for tag in values.get("tags", []):
        if "," in tag:
            raise ValueError("tags: have no commas")
    data = values | {"tags": ",".join(values["tags"])}
    return valid(AssetForm(data, user=owner_of(request))).cleaned_data


@router.get("/anomaly/assets", response=Page[AssetOut], summary="List assets")
@in_thread
def list_assets(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """One's own and those of one's teams, the newest first."""
    return page_of(visible_assets(owner_of(request)).select_related("owner"), ("-created_at", "-id"), paging, _asset)


@router.post("/anomaly/assets", response={201: AssetOut}, summary="Make an asset")
@creating
def create_asset(request: HttpRequest, payload: AssetIn) -> AssetOut:
    values = _valid(request, payload.dict())
    group = values.pop("group_seconds")
    made = assets.create(owner=owner_of(request), key=key_of(request), **values)
    return _asset(assets.change(asset=made, group_seconds=group))


@router.get("/anomaly/assets/{uuid:asset_id}", response=AssetOut, summary="Read an asset")
@in_thread
def get_asset(request: HttpRequest, asset_id: UUID) -> AssetOut:
    return _asset(visible_asset(owner_of(request), asset_id))


@router.patch("/anomaly/assets/{uuid:asset_id}", response=AssetOut, summary="Change an asset")
@in_thread
def change_asset(request: HttpRequest, asset_id: UUID, payload: AssetChange) -> AssetOut:
    found = managed_asset(owner_of(request), asset_id)
    now = {"name": found.name, "about": found.about, "team": found.team_id, "tags": found.tags,
           "group_seconds": found.group_seconds}  # fmt: skip
    return _asset(assets.change(asset=found, **_valid(request, now | payload.dict(exclude_unset=True))))


@router.delete("/anomaly/assets/{uuid:asset_id}", response={204: None}, summary="Delete an asset")
@in_thread
def delete_asset(request: HttpRequest, asset_id: UUID) -> None:
    """With its readings, detectors and incidents; the bytes they took are given back."""
    assets.delete(asset=managed_asset(owner_of(request), asset_id), **who(request))


@router.get("/anomaly/assets/{uuid:asset_id}/sensors", response=Page[SensorOut], summary="List sensors")
@in_thread
def list_sensors(request: HttpRequest, asset_id: UUID, paging: Query[Paging]) -> dict[str, Any]:
    return page_of(visible_asset(owner_of(request), asset_id).sensors.all(), ("id",), paging, _sensor)


@router.post("/anomaly/assets/{uuid:asset_id}/sensors", response={201: SensorOut}, summary="Add a sensor")
@creating
def create_sensor(request: HttpRequest, asset_id: UUID, payload: SensorIn) -> SensorOut:
    return _sensor(assets.add_sensor(asset=managed_asset(owner_of(request), asset_id), **payload.dict()))


@router.patch("/anomaly/sensors/{int:sensor_id}", response=SensorOut, summary="Change a sensor")
@in_thread
def change_sensor(request: HttpRequest, sensor_id: int, payload: SensorChange) -> SensorOut:
    found = managed_sensor(owner_of(request), sensor_id)
    return _sensor(assets.change_sensor(sensor=found, **payload.dict(exclude_unset=True)))


@router.delete("/anomaly/sensors/{int:sensor_id}", response={204: None}, summary="Delete a sensor")
@in_thread
def delete_sensor(request: HttpRequest, sensor_id: int) -> None:
    """With its readings, and the detectors that watch it."""
    assets.delete_sensor(sensor=managed_sensor(owner_of(request), sensor_id), **who(request))
