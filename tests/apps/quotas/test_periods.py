"""Days and months of the calendar, where the clocks change and where months end."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from apps.quotas.models import Window
from apps.quotas.periods import period_of

UTC = ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("zone", "moment", "window", "start", "hours"),
    [
        ("UTC", "2026-11-26T12:00", "day", "2026-11-26T00:00", 24),
        ("Europe/Berlin", "2026-03-29T12:00", "day", "2026-03-28T23:00", 23),  # clocks go on
        ("Europe/Berlin", "2026-10-25T12:00", "day", "2026-10-24T22:00", 25),  # clocks go back
        ("Europe/Berlin", "2026-10-24T22:00", "day", "2026-10-24T22:00", 25),  # its first moment
        ("Europe/Berlin", "2026-10-24T21:59", "day", "2026-10-23T22:00", 24),  # the moment before
        ("America/Sao_Paulo", "2018-11-04T12:00", "day", "2018-11-04T03:00", 23),  # midnight is skipped
        ("America/Havana", "2026-11-01T12:00", "day", "2026-11-01T04:00", 25),  # midnight comes twice
        ("Australia/Lord_Howe", "2026-04-04T20:00", "day", "2026-04-04T13:00", 24.5),  # half an hour
        ("Asia/Kolkata", "2026-11-25T18:29", "day", "2026-11-24T18:30", 24),
        ("Asia/Kolkata", "2026-11-25T18:30", "day", "2026-11-25T18:30", 24),
        ("Pacific/Apia", "2011-12-29T12:00", "day", "2011-12-29T10:00", 24),  # the next day is left out
        ("Pacific/Apia", "2011-12-30T12:00", "day", "2011-12-30T10:00", 24),
        ("Pacific/Kiritimati", "2026-12-31T10:00", "day", "2026-12-31T10:00", 24),  # there it is next year
        ("UTC", "2026-01-31T23:59", "month", "2026-01-01T00:00", 31 * 24),
        ("UTC", "2026-02-28T23:59", "month", "2026-02-01T00:00", 28 * 24),
        ("UTC", "2028-02-29T23:59", "month", "2028-02-01T00:00", 29 * 24),
        ("UTC", "2026-12-31T23:59", "month", "2026-12-01T00:00", 31 * 24),
        ("Europe/Berlin", "2026-03-31T21:59", "month", "2026-02-28T23:00", 31 * 24 - 1),
        ("Europe/Berlin", "2026-03-31T22:00", "month", "2026-03-31T22:00", 30 * 24),
        ("America/New_York", "2026-11-30T12:00", "month", "2026-11-01T04:00", 30 * 24 + 1),
        ("Pacific/Kiritimati", "2026-12-31T10:00", "month", "2026-12-31T10:00", 31 * 24),
    ],
)
def test_period(zone: str, moment: str, window: str, start: str, hours: float) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    found = period_of(Window(window), at, ZoneInfo(zone))
    assert found.start.astimezone(UTC).isoformat()[:16] == start
    assert (found.end.timestamp() - found.start.timestamp()) / 3600 == hours
    assert found.start <= at < found.end


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Havana", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize("window", [Window.DAY, Window.MONTH])
def test_periods_follow_each_other_without_a_gap(zone: str, window: Window) -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for _ in range(400 if window == Window.DAY else 24):
        found = period_of(window, moment, ZoneInfo(zone))
        following = period_of(window, found.end, ZoneInfo(zone))
        assert following.start.timestamp() == found.end.timestamp()
        moment = following.start
