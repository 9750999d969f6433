"""Spans are whole days of the organisation's time zone, whatever its clocks do."""

from datetime import UTC, date, datetime, timedelta

import pytest

from apps.quotas import spans

HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "now", "since", "hours"),
    [
        ("UTC", "2026-03-10T12:00", "2026-03-04T00:00", 7 * 24),
        ("Asia/Shanghai", "2026-03-10T20:00", "2026-03-04T16:00", 7 * 24),
        ("Europe/Berlin", "2026-03-30T12:00", "2026-03-23T23:00", 7 * 24 - 1),  # clocks go on
        ("Europe/Berlin", "2026-10-26T12:00", "2026-10-19T22:00", 7 * 24 + 1),  # clocks go back
        ("Asia/Kolkata", "2026-03-10T12:00", "2026-03-03T18:30", 7 * 24),
    ],
)
def test_seven_days(zone: str, now: str, since: str, hours: int) -> None:
    span = spans.asked({"range": "7"}, zone, at(now))
    assert span.since == at(since)
    assert (span.until.astimezone(UTC) - span.since.astimezone(UTC)) / HOUR == hours
    assert span.length == len(span.buckets) == 7
    assert span.before.until == span.since


def test_the_last_24_hours_are_whole_hours() -> None:
    span = spans.asked({"range": "24h"}, "Asia/Kolkata", at("2026-03-10T12:34"))
    assert (span.since, span.until) == (at("2026-03-09T13:00"), at("2026-03-10T13:00"))
    assert span.buckets[-1] == at("2026-03-10T12:00")
    assert span.before.until == span.since


@pytest.mark.parametrize(
    ("since", "until", "length"),
    [
        ("2026-02-27", "2026-03-02", 4),
        ("2026-03-02", "2026-03-02", 1),
        ("2025-03-02", "2026-03-02", 366),
        ("2025-03-01", "2026-03-02", 30),  # too long
        ("2026-03-03", "2026-03-02", 30),  # backwards
        ("2026-02-30", "2026-03-02", 30),
        ("", "", 30),
        ("0001-01-01", "0001-01-02", 30),
        ("9999-12-30", "9999-12-31", 30),
    ],
)
def test_a_span_of_one_s_own_or_else_thirty_days(since: str, until: str, length: int) -> None:
    asked = {"range": "custom", "since": since, "until": until}
    assert spans.asked(asked, "UTC", at("2026-03-10T12:00")).length == length


def test_a_custom_span_ends_with_its_last_day() -> None:
    span = spans.asked({"range": "custom", "since": "2026-02-27", "until": "2026-03-02"}, "Europe/Berlin")
    assert (span.first_day, span.last_day) == (date(2026, 2, 27), date(2026, 3, 2))
    assert span.until == at("2026-03-02T23:00")
