"""Spans of time as addresses say them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from apps.anomaly.models import Asset, Sensor
from apps.anomaly.parsing import seconds_of

_DAY = timedelta(days=1)
_FARTHEST = 253_402_300_799.0  # the end of the year 9999
MOST_POINTS = 20_000


def moment(text: str, name: str) -> datetime | None:
    """ISO 8601, or seconds since the epoch; None of nothing. Raises ValueError(`name: reason`)."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = seconds_of(text)
    if not 0 <= seconds <= _FARTHEST:
        raise ValueError(f"{name}: is not a time")
    return datetime.fromtimestamp(seconds, UTC)


def span(asked: Mapping[str, str], newest: datetime | None) -> tuple[datetime, datetime]:
    """Begin and end; the last day before what is newest when nothing is said. Raises ValueError(`field: reason`)."""
    end = moment(asked.get("end", ""), "end") or newest or timezone.now()
    begin = moment(asked.get("begin", ""), "begin") or end - _DAY
    if end < begin:
        raise ValueError("end: is before the begin")
    return begin, end


def newest(asset: Asset) -> datetime | None:
    found: datetime | None = asset.sensors.aggregate(at=Max("last_at"))["at"]
    return found


def points(asked: Mapping[str, str]) -> int:
    """Raises ValueError."""
    text = asked.get("points", "") or "2000"
    if not text.isdecimal() or not 10 <= int(text) <= MOST_POINTS:
        raise ValueError(f"points: must be between 10 and {MOST_POINTS}")
    return int(text)


def whole(asked: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A whole number from 1. Raises ValueError."""
    text = asked.get(name, "") or str(default)
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= most:
        raise ValueError(f"{name}: must be between 1 and {most}")
    return int(text)


def sensors(asset: Asset, text: str) -> list[Sensor]:
    """Those that are named by their ids, in the order of the asset; without names all. Raises ValueError."""
    found = list(asset.sensors.all())
    if not text:
        return found
    parts = text.split(",")
    wanted = {int(part) for part in parts if part.isdecimal() and len(part) < 10}
    if len(wanted) != len(set(parts)) or wanted - {one.pk for one in found}:
        raise ValueError("sensors: are not all of this asset")
    return [one for one in found if one.pk in wanted]
