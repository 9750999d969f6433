"""The one way in which readings and scores reach the database.

A transaction has the rows, the sums of the buckets they are in, and what is newest of each sensor, or nothing. A row
whose series and time are there already changes nothing, so whoever is not sure may send again. Rows are locked in one
order everywhere (by series and time, then buckets, sensors, asset), so that two who store cannot wait for each other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from apps.anomaly import late, partitions, room, telling
from apps.anomaly.models import Asset, Detector
from apps.anomaly.points import Points, moment

_INCOMING = """
CREATE TEMPORARY TABLE IF NOT EXISTS anomaly_incoming (id int4, at timestamptz, value float8, expected float8[])
  ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS anomaly_incoming_sums (id int4, width int2, at timestamptz, count int4,
  total float8, low float8, low_at timestamptz, high float8, high_at timestamptz) ON COMMIT DELETE ROWS;
DELETE FROM anomaly_incoming; DELETE FROM anomaly_incoming_sums
"""
_INSERT = """
INSERT INTO {table} ({series}, at, value{more}) SELECT id, at, value{more} FROM anomaly_incoming ORDER BY id, at
ON CONFLICT ({series}, at) DO NOTHING RETURNING {series}, (extract(epoch FROM at) * 1000000)::bigint
"""
_ADD_UP = """
INSERT INTO {table} AS b ({series}, width, at, count, total, low, low_at, high, high_at)
SELECT id, width, at, count, total, low, low_at, high, high_at FROM anomaly_incoming_sums ORDER BY id, width, at
ON CONFLICT ({series}, width, at) DO UPDATE SET
  count = b.count + excluded.count, total = b.total + excluded.total,
  low_at = CASE WHEN excluded.low < b.low THEN excluded.low_at ELSE b.low_at END, low = least(b.low, excluded.low),
  high_at = CASE WHEN excluded.high > b.high THEN excluded.high_at ELSE b.high_at END,
  high = greatest(b.high, excluded.high)
"""
_NEWEST = """
WITH mine AS (SELECT id FROM anomaly_sensor WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE)
UPDATE anomaly_sensor s SET heard_at = %(now)s,
  last_value = CASE WHEN s.last_at IS NULL OR n.at > s.last_at THEN n.value ELSE s.last_value END,
  last_at = greatest(s.last_at, n.at)
FROM unnest(%(ids)s::int[], %(times)s::timestamptz[], %(values)s::float8[]) n (id, at, value), mine
WHERE s.id = n.id AND s.id = mine.id
"""
_FORGET = """
DELETE FROM anomaly_score WHERE detector_id = %(id)s AND at BETWEEN %(first)s AND %(last)s;
DELETE FROM anomaly_score_bucket WHERE detector_id = %(id)s AND at >= %(begin)s AND at < %(end)s
"""
_SUM_AGAIN = """
INSERT INTO anomaly_score_bucket (detector_id, width, at, count, total, low, low_at, high, high_at)
SELECT detector_id, width, date_bin(width * interval '1 second', at, 'epoch') AS bucket, count(*), sum(value),
  min(value), (array_agg(at ORDER BY value, at))[1], max(value), (array_agg(at ORDER BY value DESC, at))[1]
FROM anomaly_score, unnest(ARRAY[60, 3600]) width WHERE detector_id = %(id)s AND at >= %(begin)s AND at < %(end)s
GROUP BY detector_id, width, bucket
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """How many readings are new, and how many were there."""

    stored: int = 0
    known: int = 0


def store_readings(*, asset: Asset, points: Points) -> Stored:
    """Of sensors of the asset. Who looks at it is told, and its detectors score what is new, once it is committed.
    Raises LimitReached, LimitsUnknown before anything is stored."""
    if not len(points):
        return Stored()
    room.hold(asset, len(points))
    partitions.ensure(("anomaly_reading", "anomaly_bucket"), points.moments())
    try:
        new = _store(asset, points)
    except IntegrityError:  # a partition that was there when this process looked has been dropped
        partitions.forget()
        partitions.ensure(("anomaly_reading", "anomaly_bucket"), points.moments())
        new = _store(asset, points)
    return Stored(len(new), len(points) - len(new))


@transaction.atomic
def _store(asset: Asset, points: Points) -> Points:
    with connection.cursor() as cursor:
        new = insert(cursor, points, table="anomaly_reading", sums="anomaly_bucket", series="sensor_id")
        newest = points.newest()
        cursor.execute(
            _NEWEST,
            {"ids": newest.series.tolist(), "times": [moment(at) for at in newest.times], "now": timezone.now(),
             "values": newest.values.tolist()},
        )  # fmt: skip
    if len(new):
        Asset.objects.filter(pk=asset.pk).update(stored=F("stored") + len(new))
        transaction.on_commit(lambda: _came(asset, new))
    return new


def _came(asset: Asset, new: Points) -> None:
    telling.readings_came(asset.pk, new)
    late.mark(asset.pk, new)


def insert(cursor: Any, points: Points, *, table: str, sums: str, series: str) -> Points:
    """Rows and the sums of their buckets, within the caller's transaction; those that are new. Their partitions have to
    be there."""
    cursor.execute(_INCOMING)
    _copy(cursor, "anomaly_incoming (id, at, value, expected)", points.copied())
    more = "" if points.expected is None else ", expected"
    cursor.execute(_INSERT.format(table=table, series=series, more=more))
    new = points if cursor.rowcount == len(points) else points.only(_marked(points, cursor.fetchall()))
    if len(new):
        names = "id, width, at, count, total, low, low_at, high, high_at"
        _copy(cursor, f"anomaly_incoming_sums ({names})", new.sums())
        cursor.execute(_ADD_UP.format(table=sums, series=series))
    return new


def _copy(cursor: Any, into: str, content: bytes) -> None:
    with cursor.copy(f"COPY {into} FROM STDIN (FORMAT binary)") as copy:
        copy.write(content)


def _marked(points: Points, rows: list[tuple[int, int]]) -> np.ndarray:
    """Which of the points are among the rows. Both are sorted."""
    inserted = set(rows)
    pairs = zip(points.series.tolist(), points.times.tolist(), strict=True)
    return np.fromiter((pair in inserted for pair in pairs), bool, len(points))


def store_scores(points: Points) -> Points:
    """Within the caller's transaction; those that are new. Their partitions have to be there."""
    if not len(points):
        return points
    with connection.cursor() as cursor:
        return insert(cursor, points, table="anomaly_score", sums="anomaly_score_bucket", series="detector_id")


def forget_scores(detector: Detector, first: datetime, last: datetime) -> None:
    """Those between, both within, which others are about to take the place of. Within the caller's transaction."""
    begin, end = (one.replace(minute=0, second=0, microsecond=0) for one in (first, last + timedelta(hours=1)))
    values: dict[str, Any] = {"id": detector.pk, "first": first, "last": last, "begin": begin, "end": end}
    with connection.cursor() as cursor:
        for command in [*_FORGET.split(";"), _SUM_AGAIN]:
            cursor.execute(command, values)
