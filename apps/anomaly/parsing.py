"""Readings as programs send them: which can be taken, and why the others cannot."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from apps.anomaly.points import Points

MOST = 20_000  # readings of one request
_SHOWN = 100  # of what is wrong
_AHEAD = 86_400.0  # seconds that a clock may be ahead of ours


@dataclass(slots=True)
class Parsed:
    """`errors` are the first hundred of those that were rejected: where they stand and why."""

    points: Points
    rejected: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)


class _Reader:
    """Collects what can be taken. `places` tell where a reading stands, as its sender counts."""

    def __init__(self, sensors: Mapping[str, int], now: float) -> None:
        self._sensors, self._latest = sensors, now + _AHEAD
        self.series: list[int] = []
        self.times: list[float] = []
        self.values: list[float] = []
        self.rejected = 0
        self.errors: list[tuple[str, str]] = []

    def take(self, place: str, sensor: Any, time: Any, value: Any) -> None:
        try:
            number = self._sensor(sensor)
            seconds = self._seconds(time)
            known = _value(value)
        except ValueError as error:
            self.rejected += 1
            if len(self.errors) < _SHOWN:
                self.errors.append((place, str(error)))
            return
        self.series.append(number)
        self.times.append(seconds)
        self.values.append(known)

    def parsed(self) -> Parsed:
        points = Points.of(np.array(self.series, np.int64), np.array(self.times), np.array(self.values))
        return Parsed(points, self.rejected, self.errors)

    def _sensor(self, key: Any) -> int:
        number = self._sensors.get(key) if isinstance(key, str) else None
        if number is None:
            raise ValueError(f"sensor: {str(key)[:80]!r} is none of this asset")
        return number

    def _seconds(self, time: Any) -> float:
        seconds = seconds_of(time)
        if not 0 <= seconds <= self._latest:
            why = (
                "is before 1970" if seconds < 0 else "is in the future: times are seconds since the epoch, or ISO 8601"
            )
            raise ValueError(f"time: {why}")
        return seconds


def rows(readings: Iterable[Any], *, sensors: Mapping[str, int], now: float) -> Parsed:
    """`[{sensor, time, value}]`; sensors are keys and ids of the asset's."""
    reader = _Reader(sensors, now)
    for place, row in enumerate(readings):
        if isinstance(row, dict):
            reader.take(f"readings.{place}", row.get("sensor"), row.get("time"), row.get("value"))
        else:
            reader.take(f"readings.{place}", None, None, None)
    return reader.parsed()


def series(found: Mapping[str, Any], *, sensors: Mapping[str, int], now: float) -> Parsed:
    """`{sensor: [[time, value]]}`."""
    reader = _Reader(sensors, now)
    for key, pairs in found.items():
        for place, pair in enumerate(pairs if isinstance(pairs, list) else [None]):
            time, value = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
            reader.take(f"series.{key[:80]}.{place}", key, time, value)
    return reader.parsed()


def seconds_of(time: Any) -> float:
    """Since the epoch, of a number or a text in ISO 8601; without a zone it is UTC. Raises ValueError."""
    if isinstance(time, str):
        try:
            moment = datetime.fromisoformat(time)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise ValueError(f"time: {time[:40]!r} is not ISO 8601") from None
    if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
        raise ValueError("time: must be seconds since the epoch, or ISO 8601")
    return float(time)


def _value(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("value: must be a finite number")
    return float(value)
