"""Readings in the database: once each, with sums that are exact, whoever sends what in whichever order."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection, connections
from django.utils import timezone

from apps.accounts.models import User
from apps.anomaly import assets, partitions, retention, room, storing
from apps.anomaly.models import Asset, Bucket, Leftover, Reading, Sensor
from apps.anomaly.points import Points
from apps.quotas.admission import LimitReached
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.quotas.services import set_limit
from tests.apps.anomaly.conftest import BEGIN, T0, points

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
Put = Callable[..., storing.Stored]


def sums(sensor: Sensor, width: int) -> list[tuple]:
    rows = Bucket.objects.filter(sensor_id=sensor.pk, width=width).order_by("at")
    return [
        (row.at.timestamp() - T0, row.count, row.total, row.low, row.low_at.timestamp() - T0, row.high,
         row.high_at.timestamp() - T0)
        for row in rows
    ]  # fmt: skip


def expected(times: np.ndarray, values: np.ndarray, width: int) -> list[tuple]:
    found = []
    for begin in np.unique(times // width) * width:
        inside = (times >= begin) & (times < begin + width)
        at, value = times[inside], values[inside]
        found.append((begin, len(at), value.sum(), value.min(), at[value.argmin()], value.max(), at[value.argmax()]))
    return found


def test_a_reading_is_stored_with_the_newest_of_its_sensor(put: Put, sensor: Sensor) -> None:
    assert put(sensor, [0, 2, 1], [5.0, 7.5, 6.0]) == storing.Stored(3, 0)
    rows = Reading.objects.order_by("at").values_list("sensor_id", "at", "value")
    assert list(rows) == [(sensor.pk, BEGIN + timedelta(seconds=n), value) for n, value in enumerate([5.0, 6.0, 7.5])]
    sensor.refresh_from_db()
    assert (sensor.last_at, sensor.last_value) == (BEGIN + timedelta(seconds=2), 7.5)


def test_sending_again_changes_nothing(put: Put, sensor: Sensor, other: Sensor) -> None:
    put(sensor, [0, 1, 2], [1.0, 2.0, 3.0])
    before = sums(sensor, 60)
    assert put(sensor, [1, 2, 3], [9.0, 9.0, 4.0]) == storing.Stored(1, 2)
    assert put(sensor, [3, 3], [9.0, 8.0]) == storing.Stored(0, 1)  # the same moment twice is one reading
    assert before == [(0, 3, 6.0, 1.0, 0, 3.0, 2)]
    assert sums(sensor, 60) == [(0, 4, 10.0, 1.0, 0, 4.0, 3)]
    asset = Asset.objects.get(pk=sensor.asset_id)
    assert asset.stored == 4


def test_sums_are_those_of_the_readings_in_whatever_order_they_came(put: Put, sensor: Sensor) -> None:
    random = np.random.default_rng(0)
    times, values = np.arange(0, 9000, 2.5), random.permutation(3600).astype(float)
    order = random.permutation(len(times))
    for part in np.array_split(order, 7):
        again = random.choice(order, 100)
        put(sensor, times[np.r_[part, again]], values[np.r_[part, again]])
    assert sums(sensor, 60) == expected(times, values, 60)
    assert sums(sensor, 3600) == expected(times, values, 3600)


def test_a_late_point_gets_its_partition_and_leaves_the_newest(put: Put, sensor: Sensor) -> None:
    put(sensor, [0], [1.0])
    put(sensor, [-40 * 365 * 86400], [2.0])
    sensor.refresh_from_db()
    assert (Reading.objects.count(), sensor.last_value) == (2, 1.0)


def test_a_partition_that_somebody_dropped_is_made_again(put: Put, sensor: Sensor) -> None:
    put(sensor, [0], [1.0])
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE anomaly_reading_2026_03")
    assert put(sensor, [1], [2.0]).stored == 1


def test_moments_in_fractions_of_a_second_are_kept(put: Put, sensor: Sensor) -> None:
    put(sensor, [0.000001, 0.1], [1.0, 2.0])
    assert [row.at.microsecond for row in Reading.objects.order_by("at")] == [1, 100_000]


@pytest.mark.django_db(transaction=True)
def test_many_who_store_the_same_at_once_store_it_once(sensor: Sensor, other: Sensor) -> None:
    random = np.random.default_rng(1)
    ids = np.repeat([sensor.pk, other.pk], 400)
    times, values = T0 + np.tile(np.arange(400), 2).astype(float), random.normal(size=800)
    stored: list[int] = []

    def send(seed: int) -> None:
        order = np.random.default_rng(seed).permutation(800)
        for part in np.array_split(order, 8):
            found = storing.store_readings(asset=sensor.asset, points=Points.of(ids[part], times[part], values[part]))
            stored.append(found.stored)
        connections.close_all()

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(stored) == Reading.objects.count() == Asset.objects.get(pk=sensor.asset_id).stored == 800
    assert [row[1] for row in sums(sensor, 3600)] == [400]


def test_bytes_are_held_by_the_block_and_refused_by_a_limit(
    put: Put, sensor: Sensor, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BLOCK", 100)
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.STORED_BYTES, window=Window.NOW,
              amount=2 * 100 * room.READING_BYTES, actor=None)  # fmt: skip
    put(sensor, np.arange(150), np.arange(150))
    assert LedgerEntry.objects.filter(kind="readings").count() == 2
    with pytest.raises(LimitReached):
        put(sensor, np.arange(150, 260), np.arange(110))
    assert Reading.objects.count() == 150


def test_what_is_deleted_gives_its_bytes_back(
    put: Put, sensor: Sensor, other: Sensor, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BLOCK", 100)
    put(sensor, np.arange(500), np.arange(500))
    put(other, np.arange(30), np.arange(30))
    assets.delete_sensor(sensor=sensor, actor=owner)
    held = lambda: sum(LedgerEntry.objects.values_list("stored_bytes", flat=True))  # noqa: E731
    assert (Asset.objects.get().stored, held()) == (30, 2 * 100 * room.READING_BYTES)
    assert Leftover.objects.count() == 1
    retention.tend(timezone.now())
    assert (Reading.objects.count(), Bucket.objects.filter(width=3600).count(), Leftover.objects.count()) == (30, 1, 0)
    assets.delete(asset=Asset.objects.get(), actor=owner)
    assert held() == 0


def test_each_sensor_keeps_its_readings_as_long_as_it_says(put: Put, sensor: Sensor, other: Sensor) -> None:
    assets.change_sensor(sensor=sensor, keep_days=10)
    put(sensor, np.arange(0, 30 * 86400, 3600), np.zeros(720))
    put(other, [0], [1.0])
    retention.tend(BEGIN + timedelta(days=30))
    oldest = Reading.objects.filter(sensor_id=sensor.pk).order_by("at")[0].at
    assert oldest == BEGIN + timedelta(days=20)
    assert Bucket.objects.filter(sensor_id=sensor.pk, width=3600).count() == 240
    assert (Reading.objects.filter(sensor_id=other.pk).count(), Asset.objects.get().stored) == (1, 241)


def test_partitions_go_whole_once_no_sensor_keeps_them(put: Put, sensor: Sensor, other: Sensor) -> None:
    put(sensor, [0, -400 * 86400], [1.0, 2.0])
    now = BEGIN + timedelta(days=200)
    assert partitions.drop_old(now) == []  # both keep theirs for good
    for one in (sensor, other):
        assets.change_sensor(sensor=one, keep_days=90)
    assert partitions.drop_old(now) == ["anomaly_reading_2025_01", "anomaly_reading_2026_03", "anomaly_bucket_2025"]


def test_partitions_are_made_ahead() -> None:
    partitions.make_ahead(datetime(2031, 12, 20, tzinfo=UTC))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^anomaly_(reading|bucket)_203[12][0-9_]*$' ORDER BY 1"
        )
        names = [row[0] for row in cursor.fetchall()]
    assert names == ["anomaly_bucket_2031", "anomaly_bucket_2032", "anomaly_reading_2031_12", "anomaly_reading_2032_01"]


def test_charts_read_the_index_alone(put: Put, sensor: Sensor) -> None:
    put(sensor, np.arange(20_000), np.arange(20_000))
    with connection.cursor() as cursor:
        # Until it was vacuumed the map of what all may see is empty, and the planner goes by that.
        cursor.execute("SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT at, value FROM anomaly_reading WHERE sensor_id = %s AND at BETWEEN %s AND %s ORDER BY at",
            [sensor.pk, BEGIN, BEGIN + timedelta(seconds=500)],
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Index Only Scan" in plan


def test_points_of_one_series_and_time_are_one() -> None:
    found = Points.of(np.array([2, 1, 2]), np.array([5.0, 5.0, 5.0]), np.array([1.0, 2.0, 3.0]))
    assert (found.series.tolist(), found.times.tolist(), found.values.tolist()) == ([1, 2], [5_000_000] * 2, [2.0, 1.0])


def test_a_sensor_has_a_key_of_its_own(asset: Asset, sensor: Sensor) -> None:
    with pytest.raises(ValueError, match="key: another sensor"):
        assets.add_sensor(asset=asset, key="bearing")
    with pytest.raises(ValueError, match="key: "):
        assets.add_sensor(asset=asset, key="no spaces")
    with pytest.raises(ValueError, match="interval: "):
        assets.add_sensor(asset=asset, key="fast", interval=0.0)


def test_nothing_is_stored_of_nothing(sensor: Sensor) -> None:
    assert storing.store_readings(asset=sensor.asset, points=points(sensor, [], [])) == storing.Stored(0, 0)
