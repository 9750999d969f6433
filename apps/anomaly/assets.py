"""Verbs on assets and their sensors."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Max

from apps.accounts.models import APIKey, Team, User
from apps.anomaly import retention
from apps.anomaly.models import AlertRule, Asset, Layout, Sensor, Severity
from apps.audit.services import record

MOST_SENSORS = 2000  # of an asset
_LAYOUT = 16_384  # characters
_ASSET = ("name", "about", "team", "tags", "group_seconds")
_SENSOR = ("key", "name", "unit", "interval", "tags", "keep_days", "position")
# What a new asset is watched for.
_RULES = (
    ("Unusual values", AlertRule.On.SCORE, Severity.WARNING, 0),
    ("Sensor stopped", AlertRule.On.STOPPED, Severity.WARNING, 60),
    ("Detector stopped", AlertRule.On.DEAD, Severity.INFO, 60),
)


@transaction.atomic
def create(
    *, owner: User, name: str, about: str = "", team: Team | None = None, tags: list[str] | None = None,
    key: APIKey | None = None,
) -> Asset:  # fmt: skip
    """Without sensors, with rules that tell everybody who sees it. Raises ValueError(`team: reason`)."""
    asset = Asset.objects.create(
        owner=owner, name=name, about=about, team=_shared(owner, team), tags=tags or [], key=key
    )
    AlertRule.objects.bulk_create(
        AlertRule(asset=asset, name=label, on=on, severity=severity, for_seconds=seconds)
        for label, on, severity, seconds in _RULES
    )
    return asset


def change(*, asset: Asset, **values: Any) -> Asset:
    """Of name, about, team, tags and group_seconds those that are given. Raises ValueError(`field: reason`)."""
    for name in _ASSET:
        if name in values:
            setattr(asset, name, values[name])
    _shared(asset.owner, asset.team)
    asset.save(update_fields=_ASSET)
    return asset


@transaction.atomic
def delete(*, asset: Asset, actor: User | None, address: str | None = None) -> None:
    """With its sensors, their readings, detectors, incidents (stored.py). Writes the audit log."""
    record(action="asset.delete", target=asset, actor=actor, address=address, readings=asset.stored)
    asset.delete()


def add_sensor(*, asset: Asset, key: str, name: str = "", **values: Any) -> Sensor:
    """Raises ValueError(`field: reason`), also for a key that the asset has."""
    last = asset.sensors.aggregate(last=Max("position"))["last"]
    if asset.sensors.count() >= MOST_SENSORS:
        raise ValueError(f"key: an asset has at most {MOST_SENSORS} sensors")
    sensor = Sensor(asset=asset, key=key, name=name or key, position=0 if last is None else last + 1)
    return _saved(sensor, values)


def change_sensor(*, sensor: Sensor, **values: Any) -> Sensor:
    """Raises ValueError(`field: reason`)."""
    return _saved(sensor, values)


@transaction.atomic
def delete_sensor(*, sensor: Sensor, actor: User | None, address: str | None = None) -> None:
    """With its readings, and the detectors that watch it. Writes the audit log."""
    record(action="sensor.delete", target=sensor, actor=actor, address=address, asset=str(sensor.asset))
    for detector in sensor.detectors.all():
        detector.delete()
    asset = sensor.asset
    sensor.delete()
    retention.count(asset)


def save_layout(*, asset: Asset, user: User, content: Any) -> Layout:
    """One's own arrangement of its dashboard. Raises ValueError(`content: reason`)."""
    if not isinstance(content, dict):
        raise ValueError("content: must be an object")
    if len(json.dumps(content)) > _LAYOUT:
        raise ValueError("content: is too large")
    return Layout.objects.update_or_create(asset=asset, user=user, defaults={"content": content})[0]


def _saved(sensor: Sensor, values: dict[str, Any]) -> Sensor:
    for name in _SENSOR:
        if name in values:
            setattr(sensor, name, values[name])
    try:
        sensor.clean_fields(exclude=["asset"])
    except ValidationError as error:
        field, reasons = next(iter(error.message_dict.items()))
        raise ValueError(f"{field}: {reasons[0]}") from error
    try:
        with transaction.atomic():
            sensor.save()
    except IntegrityError:
        raise ValueError("key: another sensor of this asset has it") from None
    return sensor


def _shared(owner: User, team: Team | None) -> Team | None:
    if team is not None and not team.memberships.filter(user=owner).exists():
        raise ValueError("team: is none that you are in")
    return team
