"""Readings that programs send, by HTTP or MQTT."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone
from django.utils.text import slugify

from apps.anomaly import assets, parsing
from apps.anomaly.models import Asset
from apps.anomaly.storing import store_readings


@dataclass(frozen=True, slots=True)
class Taken:
    """Readings that are new, that were there, and that cannot be taken; of these the first hundred with their place."""

    stored: int = 0
    known: int = 0
    rejected: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)


def take(
    *,
    asset: Asset,
    readings: list[Any] | None = None,
    series: dict[str, Any] | None = None,
    makes_sensors: bool = False,
) -> Taken:
    """Store what can be stored, whatever is wrong with the rest. With `makes_sensors` keys that nobody knows become
    sensors. Raises ValueError for too many at once, LimitReached, LimitsUnknown."""
    readings, series = readings or [], series or {}
    count = len(readings) + sum(len(pairs) for pairs in series.values() if isinstance(pairs, list))
    if count > parsing.MOST:
        raise ValueError(f"readings: at most {parsing.MOST} at once, these are {count}")
    sensors = _sensors(asset)
    if makes_sensors and (missing := _keys(readings, series) - sensors.keys()):
        sensors |= _made(asset, missing)
    now = timezone.now().timestamp()
    return _stored(asset, parsing.rows(readings, sensors=sensors, now=now) if readings else None,
                   parsing.series(series, sensors=sensors, now=now) if series else None)  # fmt: skip


def _stored(asset: Asset, *parsed: parsing.Parsed | None) -> Taken:
    found = [one for one in parsed if one is not None]
    done = [store_readings(asset=asset, points=one.points) for one in found]
    errors = [error for one in found for error in one.errors]
    return Taken(sum(one.stored for one in done), sum(one.known for one in done), sum(one.rejected for one in found),
                 errors)  # fmt: skip


def _sensors(asset: Asset) -> dict[str, int]:
    return dict(asset.sensors.values_list("key", "pk"))


def _keys(readings: list[Any], series: dict[str, Any]) -> set[str]:
    named: Callable[[Any], Any] = lambda row: row.get("sensor") if isinstance(row, dict) else None  # noqa: E731
    return {key for key in {*map(named, readings), *series} if isinstance(key, str) and key == slugify(key)[:80]}


def _made(asset: Asset, keys: set[str]) -> dict[str, int]:
    for key in sorted(keys):
        try:
            assets.add_sensor(asset=asset, key=key)
        except ValueError:  # another request was faster, or there is no room: then its readings say so
            continue
    return _sensors(asset)
