"""What charts draw: readings that were sent, the extremes among them, and gaps."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.anomaly import exports, series, storing
from apps.anomaly.models import Sensor
from tests.apps.anomaly.conftest import BEGIN, T0

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
Put = Callable[..., storing.Stored]


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


def draw(sensor: Sensor, begin: float, end: float, points: int = 200) -> series.Drawn:
    return series.drawn(series.READINGS, sensor.pk, at(begin), at(end), points=points, interval=sensor.interval)


def test_few_readings_are_all_drawn(put: Put, sensor: Sensor) -> None:
    put(sensor, np.arange(100), np.arange(100) ** 2)
    found = draw(sensor, 10, 20)
    assert (found.level, found.count, (found.times - T0).tolist()) == (0, 11, list(range(10, 21)))
    assert found.values.tolist() == [float(n * n) for n in range(10, 21)]


def test_readings_are_stored_and_drawn_where_queries_are_logged(put: Put, sensor: Sensor) -> None:
    """As with DEBUG=1: the cursor is another then."""
    with CaptureQueriesContext(connection) as queries:
        put(sensor, [1, 2], [0.5, -0.25])
        found = draw(sensor, 0, 10)
    assert ((found.times - T0).tolist(), found.values.tolist()) == ([1, 2], [0.5, -0.25])
    assert [query["sql"].split()[1] for query in queries if query["sql"].startswith("COPY")] == [
        "anomaly_incoming", "anomaly_incoming_sums", "(SELECT",
    ]  # fmt: skip


def test_a_gap_is_a_gap(put: Put, sensor: Sensor) -> None:
    put(sensor, [0, 1, 2, 60, 61, 63], [1.0, 2, 3, 4, 5, 6])
    found = draw(sensor, 0, 100)
    assert [None if np.isnan(one) else one for one in found.values] == [1, 2, 3, None, 4, 5, 6]
    assert (found.times - T0).tolist() == [0, 1, 2, 31, 60, 61, 63]
    assert found.as_json()["values"] == [1, 2, 3, None, 4, 5, 6]


def test_of_many_readings_the_extremes_stay_with_their_times(put: Put, sensor: Sensor) -> None:
    values = np.sin(np.arange(20_000) / 1000)
    values[[7777, 15_001]] = 9.0, -9.0
    put(sensor, np.arange(20_000), values)
    found = draw(sensor, 0, 20_000, points=500)
    assert (found.level, found.count, len(found.times)) == (0, 20_000, 500)
    places = (found.times - T0).astype(int)
    assert np.array_equal(found.values, values[places])
    assert {7777, 15_001, 0, 19_999} <= set(places.tolist())


@pytest.mark.parametrize(("most_raw", "most_buckets", "level"), [(1000, 50_000, 60), (1000, 100, 3600)])
def test_long_spans_are_read_from_sums_and_show_the_same(
    put: Put, sensor: Sensor, monkeypatch: pytest.MonkeyPatch, most_raw: int, most_buckets: int, level: int
) -> None:
    monkeypatch.setattr(series, "_MOST_RAW", most_raw)
    monkeypatch.setattr(series, "_MOST_BUCKETS", most_buckets)
    random = np.random.default_rng(0)
    times = np.r_[np.arange(0, 40_000, 4), np.arange(60_000, 90_000, 4)]
    values = random.normal(size=len(times))
    values[5000] = 30.0
    order = random.permutation(len(times))
    put(sensor, times[order], values[order])
    found = draw(sensor, 0, 90_000, points=100)
    assert (found.level, found.count) == (level, len(times))
    drawn = ~np.isnan(found.values)
    known = dict(zip(times.tolist(), values.tolist(), strict=True))
    assert all(
        known[int(time)] == value for time, value in zip(found.times[drawn] - T0, found.values[drawn], strict=True)
    )
    assert found.values[drawn].max() == 30.0
    gaps = (found.times[~drawn] - T0).tolist()
    assert len(gaps) == 1 and 40_000 <= gaps[0] <= 60_000


def test_a_reading_an_hour_has_no_gaps_between_minutes(
    put: Put, sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "_MOST_RAW", 10)
    sensor.interval = 3600.0
    sensor.save()
    put(sensor, np.arange(100) * 3600, np.arange(100))
    found = draw(sensor, 0, 100 * 3600)
    assert (found.level, len(found.times), np.isnan(found.values).any()) == (60, 100, False)


def test_nothing_is_drawn_of_nothing(sensor: Sensor) -> None:
    assert draw(sensor, 0, 10).as_json() == {"level": 0, "count": 0, "times": [], "values": []}


async def _text(sensors: list[Sensor], begin: float, end: float) -> list[str]:
    return "".join([part async for part in exports.lines(sensors, at(begin), at(end))]).lstrip("\ufeff").splitlines()


@pytest.mark.django_db(transaction=True)
async def test_an_export_has_a_row_for_each_moment(put: Put, sensor: Sensor, other: Sensor) -> None:
    from asgiref.sync import sync_to_async

    await sync_to_async(put)(sensor, [0, 1, 2.5], [1.5, 2, 0.1])
    await sync_to_async(put)(other, [1, 90_000_000 / 1000], [7, 8])
    assert await _text([sensor, other], 0, 90_000) == [
        "time,Bearing [°C],Current [A]",
        "2026-03-01T00:00:00+00:00,1.5,",
        "2026-03-01T00:00:01+00:00,2.0,7.0",
        "2026-03-01T00:00:02.500000+00:00,0.1,",
        "2026-03-02T01:00:00+00:00,,8.0",
    ]


@pytest.mark.django_db(transaction=True)
async def test_an_export_in_many_pieces_is_whole(put: Put, sensor: Sensor, monkeypatch: pytest.MonkeyPatch) -> None:
    from asgiref.sync import sync_to_async

    monkeypatch.setattr(exports, "_AT_ONCE", 500)
    times = np.r_[np.arange(5000), np.arange(200_000, 201_000)]
    await sync_to_async(put)(sensor, times, times)
    found = await _text([sensor], 0, 300_000)
    assert [float(line.split(",")[1]) for line in found[1:]] == times.tolist()


async def test_names_of_sensors_are_no_formulas_in_an_export(sensor: Sensor, other: Sensor) -> None:
    sensor.name, sensor.unit, other.name, other.unit = "=1+1", "", "＠SUM(A1)", "-1"
    head = await anext(exports.lines([sensor, other], at(0), at(1)))
    assert head == "\ufefftime,'=1+1,'＠SUM(A1) [-1]\r\n"
