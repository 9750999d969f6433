"""Removing what is older than its sensor keeps it, and what sensors and detectors have left behind."""

from datetime import datetime, timedelta

from django.db import connection, transaction

from apps.anomaly import partitions, room
from apps.anomaly.models import Asset, Detector, Leftover, Sensor

_SLICE = timedelta(days=7)  # of readings that are deleted in one transaction
_ASSET_COUNT = """
SELECT coalesce(sum(b.count), 0) FROM anomaly_bucket b JOIN anomaly_sensor s ON s.id = b.sensor_id
WHERE s.asset_id = %s AND b.width = 3600
"""


def tend(now: datetime) -> None:
    """Make partitions, drop what is old, count what is left."""
    partitions.make_ahead(now)
    partitions.drop_old(now)
    touched = {sensor.asset_id for sensor in Sensor.objects.exclude(keep_days=None) if _trim(sensor, now)}
    for detector in Detector.objects.prefetch_related("sensors"):
        days = [sensor.keep_days for sensor in detector.sensors.all()]
        if days and None not in days:
            _delete("anomaly_score", "anomaly_score_bucket", "detector_id", detector.pk, _whole_hour(now, max(days)))
    for leftover in Leftover.objects.all():
        _clear(leftover)
    for asset in Asset.objects.filter(pk__in=touched).select_related("owner", "key"):
        count(asset)


def count(asset: Asset) -> None:
    """How many readings an asset has, anew, and the room for them. Exact: sums are added up with what they are of."""
    with transaction.atomic():
        Asset.objects.select_for_update().get(pk=asset.pk)
        with connection.cursor() as cursor:
            cursor.execute(_ASSET_COUNT, [asset.pk])
            stored = int(cursor.fetchone()[0])
        Asset.objects.filter(pk=asset.pk).update(stored=stored)
    room.give_back(asset)


def _whole_hour(now: datetime, days: int) -> datetime:
    return (now - timedelta(days=days)).replace(minute=0, second=0, microsecond=0)


def _trim(sensor: Sensor, now: datetime) -> bool:
    return _delete("anomaly_reading", "anomaly_bucket", "sensor_id", sensor.pk, _whole_hour(now, sensor.keep_days or 0))


def _delete(table: str, sums: str, series: str, number: int, before: datetime) -> bool:
    """In slices, each with the sums of its hours, so that nobody waits long; whether there was anything."""
    found = False
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT min(at) FROM {table} WHERE {series} = %s AND at < %s", [number, before])
            oldest = cursor.fetchone()[0]
            if oldest is None:
                cursor.execute(f"DELETE FROM {sums} WHERE {series} = %s AND at < %s", [number, before])
                return found or cursor.rowcount > 0
            end = min(before, oldest.replace(minute=0, second=0, microsecond=0) + _SLICE)
            for one in (table, sums):
                cursor.execute(f"DELETE FROM {one} WHERE {series} = %s AND at < %s", [number, end])
            found = True


def _clear(leftover: Leftover) -> None:
    """Everything of a sensor or detector that is gone."""
    kinds = {
        Leftover.Kind.SENSOR: ("anomaly_reading", "anomaly_bucket", "sensor_id"),
        Leftover.Kind.DETECTOR: ("anomaly_score", "anomaly_score_bucket", "detector_id"),
    }
    table, sums, series = kinds[Leftover.Kind(leftover.kind)]
    _delete(
        table, sums, series, leftover.number, datetime.max.replace(tzinfo=partitions.EARLIEST.tzinfo, microsecond=0)
    )
    leftover.delete()
