"""From when until when, in the organisation's time zone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from django.utils import timezone

DAYS = {"7": 7, "30": 30, "90": 90}
LONGEST = 366  # days
_DEFAULT = "30"
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days of a time zone, or the last 24 whole hours: `since` <= at < `until`."""

    name: str  # "24h", "7", "30", "90", "custom"
    since: datetime
    until: datetime
    zone: tzinfo

    @property
    def is_hours(self) -> bool:
        return self.name == "24h"

    @property
    def first_day(self) -> date:
        return self.since.astimezone(self.zone).date()

    @property
    def last_day(self) -> date:
        return (self.until - timedelta(microseconds=1)).astimezone(self.zone).date()

    @property
    def length(self) -> int:
        """Buckets: days, or hours."""
        return 24 if self.is_hours else (self.last_day - self.first_day).days + 1

    @property
    def buckets(self) -> list[date] | list[datetime]:
        """One for each bar of a chart, oldest first."""
        if self.is_hours:
            return [self.since + _HOUR * n for n in range(24)]
        return [self.first_day + timedelta(days=n) for n in range(self.length)]

    @property
    def before(self) -> "Span":
        """The span of the same length that ends where this one begins."""
        if self.is_hours:
            return Span(self.name, self.since - 24 * _HOUR, self.since, self.zone)
        return _days(self.name, self.first_day - timedelta(days=self.length), self.length, self.zone)


def asked(values: Mapping[str, str], zone_name: str, now: datetime | None = None) -> Span:
    """What a query string asks for: `range`, and `since` and `until` (the last day that counts) of a custom one. What
    cannot be read becomes the last 30 days."""
    zone = ZoneInfo(zone_name)
    now = now or timezone.now()
    today = now.astimezone(zone).date()
    name = values.get("range", _DEFAULT)
    if name == "24h":
        until = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + _HOUR
        return Span(name, until - 24 * _HOUR, until, zone)
    if name == "custom" and (found := _custom(values, zone)):
        return found
    name = name if name in DAYS else _DEFAULT
    return _days(name, today - timedelta(days=DAYS[name] - 1), DAYS[name], zone)


def _custom(values: Mapping[str, str], zone: tzinfo) -> Span | None:
    try:
        first = date.fromisoformat(values.get("since", ""))
        last = date.fromisoformat(values.get("until", ""))
    except ValueError:
        return None
    length = (last - first).days + 1
    if not 1 <= length <= LONGEST or first.year < 1971 or last.year > 9000:
        return None
    return _days("custom", first, length, zone)


def _days(name: str, first: date, length: int, zone: tzinfo) -> Span:
    return Span(name, _midnight(first, zone), _midnight(first + timedelta(days=length), zone), zone)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, zone)
