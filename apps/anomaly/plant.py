"""The demo: an asset whose readings are simulated (simulation.py), from some days before it was made until now."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.anomaly import assets, simulation, telling
from apps.anomaly.models import Asset, Plant, Sensor
from apps.anomaly.points import Points
from apps.anomaly.storing import store_readings
from apps.audit.models import AuditEntry
from apps.audit.services import record
from apps.quotas.words import NOT_NOW
from contracts import names

HISTORY = timedelta(days=2)
KEEP_DAYS = 7
_AT_ONCE = 7200  # steps that one task writes
_PAUSE = timedelta(minutes=5)  # off for longer: that is a gap, as with real sensors
_MOST_FAULTS = 50
_CREATED = "plant.create"


@transaction.atomic
def create(*, owner: User) -> Asset:
    """With its sensors; the task writes its history. Writes the audit log."""
    asset = assets.create(
        owner=owner, name=_("Pump station (simulated)"), tags=["demo"],
        about=_("Readings of a simulated pump station. Put a fault in and see whether it is found."),
    )  # fmt: skip
    Sensor.objects.bulk_create(
        Sensor(asset=asset, key=one.key, name=one.name, unit=one.unit, interval=simulation.STEP, keep_days=KEEP_DAYS,
               position=place)
        for place, one in enumerate(simulation.SENSORS)
    )  # fmt: skip
    Plant.objects.create(asset=asset, written_to=timezone.now() - HISTORY)
    record(action=_CREATED, target=asset, actor=owner)
    transaction.on_commit(lambda: telling.send(names.SIMULATE_TASK))
    return asset


def was_created() -> bool:
    """Whether there has ever been one: whoever has deleted it does not want another."""
    return Plant.objects.exists() or AuditEntry.objects.filter(action=_CREATED).exists()


def start(*, plant: Plant) -> None:
    Plant.objects.filter(pk=plant.pk).update(is_running=True)


def stop(*, plant: Plant) -> None:
    Plant.objects.filter(pk=plant.pk).update(is_running=False)


@transaction.atomic
def inject(*, plant: Plant, kind: str, sensor: str, seconds: float = 60, size: float = 8) -> list[dict[str, Any]]:
    """A fault from the next reading on; those that it has then. `size` is in standard deviations of the sensor's noise.
    Raises ValueError(`field: reason`)."""
    if kind not in simulation.FAULTS:
        raise ValueError(f"kind: is one of {', '.join(simulation.FAULTS)}")
    if sensor not in {one.key for one in simulation.SENSORS}:
        raise ValueError("sensor: is none of this plant")
    if not 1 <= seconds <= 86_400:
        raise ValueError("seconds: must be between 1 and 86400")
    if not (math.isfinite(size) and abs(size) <= 1000):
        raise ValueError("size: must be between -1000 and 1000")
    found = Plant.objects.select_for_update().get(pk=plant.pk)
    begin = found.written_to.timestamp()
    old = begin - HISTORY.total_seconds()
    kept = [one for one in found.faults if one["end"] > old][-_MOST_FAULTS + 1 :]
    found.faults = [*kept, {"kind": kind, "sensor": sensor, "begin": begin, "end": begin + seconds, "size": size}]
    found.save(update_fields=["faults"])
    return list(found.faults)


def simulate(*, now: datetime | None = None) -> bool:
    """Write what is due of every plant that runs; whether one has more of its history to come."""
    now = now or timezone.now()
    running = Plant.objects.filter(is_running=True).select_related("asset__owner", "asset__key")
    unfinished = [plant for plant in running if _write(plant, now)]
    return bool(unfinished)


def _write(plant: Plant, now: datetime) -> bool:
    """Twice at once writes the same."""
    begin = plant.written_to
    if begin >= plant.asset.created_at and now - begin > _PAUSE:
        begin = now - timedelta(seconds=simulation.STEP)
    first = math.ceil(begin.timestamp() / simulation.STEP)
    last = min(math.ceil(now.timestamp() / simulation.STEP), first + _AT_ONCE)
    if last <= first:
        return False
    times = np.arange(first, last) * simulation.STEP
    found = simulation.values(times, seed=plant.pk, faults=plant.faults)
    try:
        store_readings(asset=plant.asset, points=_points(plant.asset, times, found))
    except NOT_NOW:  # its owner has no room left: it stands still until there is
        return False
    written_to = datetime.fromtimestamp(last * simulation.STEP, UTC)
    Plant.objects.filter(pk=plant.pk, written_to=plant.written_to).update(written_to=written_to)
    return now - written_to > timedelta(seconds=_AT_ONCE / 10)


def _points(asset: Asset, times: simulation.Floats, found: simulation.Floats) -> Points:
    """Of the sensors that are still there."""
    ids = dict(asset.sensors.values_list("key", "pk"))
    columns = [(place, ids[one.key]) for place, one in enumerate(simulation.SENSORS) if one.key in ids]
    rows = [(np.full(len(times), number), times, found[:, place]) for place, number in columns]
    if not rows:
        return Points.of(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    series, at, values = (np.concatenate(part) for part in zip(*rows, strict=True))
    said = np.isfinite(values)
    return Points.of(series[said], at[said], values[said])
