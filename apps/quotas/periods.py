"""Windows of time: two that slide, two of the calendar.

A window that slides is counted in buckets: the one that runs and the `SPAN` before it. What is counted is between one
window and one window and a sixtieth, so that no window as long as the limit's ever holds more than the limit.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from apps.quotas.models import Window

SPAN = 60
BUCKET_SECONDS = {Window.MINUTE: 1, Window.HOUR: 60}
WINDOW_SECONDS = {Window.MINUTE: 60, Window.HOUR: 3600}


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` until before `end`."""

    start: datetime
    end: datetime


def period_of(window: Window, moment: datetime, zone: ZoneInfo) -> Period:
    """The day or month of the zone's calendar that `moment` is in. A day has 23 to 25 hours, or whatever the zone says;
    where midnight is skipped it begins when the clocks go on."""
    today = moment.astimezone(zone).date()
    if window == Window.DAY:
        return Period(_midnight(today, zone), _midnight(today + timedelta(days=1), zone))
    first = today.replace(day=1)
    return Period(_midnight(first, zone), _midnight((first + timedelta(days=32)).replace(day=1), zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """By way of UTC: a wall clock that was skipped becomes the moment after the gap, one that comes twice the first."""
    wall = datetime.combine(day, time(), zone)
    return wall.astimezone(ZoneInfo("UTC")).astimezone(zone)
