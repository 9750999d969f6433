"""Verbs on files of readings: take one in, look at it, read it with the columns that somebody has confirmed.

A file is read some rows at a time; how far it is is stored behind what the rows held. A reader that was killed between
the two reads them again and changes nothing: readings are stored once.
"""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from apps.accounts.models import User
from apps.anomaly import assets, telling, timeforms
from apps.anomaly.models import Asset, Upload
from apps.anomaly.points import Points
from apps.anomaly.storing import Stored, store_readings
from apps.anomaly.tablereading import Rows, reader
from apps.quotas.words import NOT_NOW, why
from apps.serving.limited_process import Unreadable
from contracts import names

State = Upload.State
ROWS = 5000  # of a slice
MOST_POINTS = 200_000  # readings of a slice: a file of many columns has fewer rows in one
_SECONDS = 2.0  # that one task reads: others wait for its thread
_CLAIM_LASTS = timedelta(seconds=90)
_ATTEMPTS = 3
_PROBLEMS = 100
_GONE = "The file is gone from the storage. Send it again."
_KEYS = {"time", "time_format", "time_zone", "columns", "sensor_column", "value_column"}


def receive(*, asset: Asset, owner: User, file: File) -> Upload:
    """Keep the file as it comes; worker-app looks at it. Raises ValueError(`file: reason`)."""
    if (file.size or 0) > settings.ANOMALY_MAX_FILE_MB * 2**20:
        raise ValueError(f"file: is larger than {settings.ANOMALY_MAX_FILE_MB} MB")
    name = Path(str(file.name).replace("\\", "/")).name.replace("\0", "")[:200] or "readings"
    file.name = "readings"  # what it is called is no matter of the storage
    upload = Upload.objects.create(asset=asset, owner=owner, name=name, file=file, bytes=file.size or 0)  # type: ignore[misc]
    transaction.on_commit(lambda: telling.send(names.LOOK_AT_READINGS_TASK, str(upload.pk)))
    return upload


def look(*, upload: Upload) -> None:
    """What it holds and how it would be read. Idempotent."""
    if upload.state != State.WAITING:
        return
    waiting = Upload.objects.filter(pk=upload.pk, state=State.WAITING)
    waiting.update(claimed_at=timezone.now(), attempts=F("attempts") + 1)
    try:
        found = reader().look(Path(upload.file.path))
        waiting.update(state=State.READY, found=found["look"], mapping=found["mapping"], attempts=0)
    except (Unreadable, FileNotFoundError) as error:
        _fail(upload, str(error) if isinstance(error, Unreadable) else _GONE)
    telling.tell(upload.asset_id, type="upload", upload=str(upload.pk))


def begin(*, upload: Upload, mapping: Any) -> Upload:
    """Read it like this. Raises ValueError(`mapping: reason`), also when it is being read already."""
    checked = _checked(mapping, [one["name"] for one in upload.found.get("columns", [])])
    ready = Upload.objects.filter(pk=upload.pk, state=State.READY)
    if not ready.update(state=State.READING, mapping=checked, claimed_at=_free(), attempts=0):
        raise ValueError("mapping: the file is not waiting for its columns")
    telling.send(names.READ_READINGS_TASK, str(upload.pk))
    upload.refresh_from_db()
    return upload


def read(*, upload: Upload, seconds: float = _SECONDS) -> bool:
    """Take in rows for about so long; whether something is left. One reader of a file at a time."""
    now = timezone.now()
    free = Upload.objects.filter(pk=upload.pk, state=State.READING).exclude(claimed_at__gt=now - _CLAIM_LASTS)
    if not free.update(claimed_at=now, attempts=F("attempts") + 1):
        return False
    upload.refresh_from_db()
    try:
        while _read_slice(upload):
            if (timezone.now() - now).total_seconds() > seconds:
                Upload.objects.filter(pk=upload.pk).update(claimed_at=_free(), attempts=0)
                return True
    except (Unreadable, FileNotFoundError) as error:
        _fail(upload, str(error) if isinstance(error, Unreadable) else _GONE)
    except NOT_NOW as error:
        _fail(upload, why(error))
    telling.tell(upload.asset_id, type="upload", upload=str(upload.pk))
    return False


def cancel(*, upload: Upload) -> bool:
    """What was taken in stays. False when it was over."""
    open_states = [State.WAITING, State.READY, State.READING]
    if not Upload.objects.filter(pk=upload.pk, state__in=open_states).update(
        state=State.CANCELLED, ended_at=timezone.now()
    ):
        return False
    _remove_file(upload)
    upload.refresh_from_db()
    return True


def sweep() -> None:
    """Go on with every file that nobody reads any more; give up what readers ended at several times, and what nobody
    confirms: it counts for no limit."""
    days = settings.UPLOAD_KEEP_DAYS
    for upload in Upload.objects.filter(state=State.READY, created_at__lt=timezone.now() - timedelta(days=days)):
        _fail(upload, f"The file was not read within {days} days and is deleted. Send it again.")
    old = timezone.now() - 2 * _CLAIM_LASTS  # whose message has not come for as long as a claim lasts
    lost = Q(claimed_at__lt=old) | Q(claimed_at=None, created_at__lt=old)
    for upload in Upload.objects.filter(lost, state__in=[State.WAITING, State.READING]):
        if upload.attempts >= _ATTEMPTS:
            _fail(upload, "The program that reads files ended several times at this file.")
        elif upload.state == State.WAITING:
            telling.send(names.LOOK_AT_READINGS_TASK, str(upload.pk))
        else:
            telling.send(names.READ_READINGS_TASK, str(upload.pk))


def _free() -> datetime:
    """A claim that is over by now: the next reader may take it at once, and the sweep looks for it later."""
    return timezone.now() - _CLAIM_LASTS


def _read_slice(upload: Upload) -> bool:
    """False at the end, or when somebody has cancelled it."""
    width = max(1, len(upload.mapping.get("columns") or [0]))
    rows = reader().read(
        Path(upload.file.path), upload.mapping, position=upload.position, rows=max(1, min(ROWS, MOST_POINTS // width))
    )
    if not rows.rows:
        _end(upload)
        return False
    stored, ahead = _store(upload, rows)
    problems = [*upload.problems, *rows.problems, *ahead][:_PROBLEMS]
    going = Upload.objects.filter(pk=upload.pk, state=State.READING, position=upload.position)
    if not going.update(
        position=F("position") + rows.rows, stored=F("stored") + stored.stored, known=F("known") + stored.known,
        failed=F("failed") + rows.failed + len(ahead), problems=problems, claimed_at=timezone.now(),
    ):  # fmt: skip
        return False
    upload.refresh_from_db()
    telling.tell(upload.asset_id, type="upload", upload=str(upload.pk))
    return True


def _store(upload: Upload, rows: Rows) -> tuple[Stored, list[list[Any]]]:
    """With the sensors that the asset lacks. Moments that cannot be are problems of the file."""
    ids = _sensor_ids(upload, rows.sensors)
    latest = timezone.now().timestamp() + 86_400
    good = (rows.times >= 0) & (rows.times <= latest)
    ahead = [[upload.position, "", "a time is before 1970 or in the future"]] * int((~good).sum())
    series = np.array(ids, np.int64)[rows.series[good]] if len(ids) else rows.series[good]
    points = Points.of(series, rows.times[good], rows.values[good])
    found = store_readings(asset=upload.asset, points=points)
    return Stored(found.stored, found.known + int(good.sum()) - len(points)), ahead


def _sensor_ids(upload: Upload, keys: list[str]) -> list[int]:
    known = dict(upload.asset.sensors.values_list("key", "pk"))
    told = {one["sensor"]: one for one in upload.mapping.get("columns") or []}
    for key in keys:
        if key not in known:
            values = {name: told.get(key, {}).get(name) or "" for name in ("name", "unit")}
            try:
                known[key] = assets.add_sensor(asset=upload.asset, key=key, keep_days=None, **values).pk
            except ValueError as error:
                raise Unreadable(str(error).partition(": ")[2]) from error
    return [known[key] for key in keys]


def _checked(mapping: Any, columns: list[str]) -> dict[str, Any]:
    """Raises ValueError."""
    if not isinstance(mapping, dict) or not mapping.keys() <= _KEYS:
        raise ValueError(f"mapping: must be an object of {', '.join(sorted(_KEYS))}")
    if mapping.get("time") not in columns:
        raise ValueError("mapping: choose the column with the times")
    timeforms.zone_named(str(mapping.get("time_zone") or "UTC"))
    known = (timeforms.AUTO, timeforms.EPOCH_S, timeforms.EPOCH_MS)
    if (form := mapping.get("time_format") or timeforms.AUTO) not in known and "%" not in str(form):
        raise ValueError("mapping: the times are in a form that is not known")
    rows = mapping.get("columns") or []
    if not isinstance(rows, list) or not (rows or mapping.get("sensor_column")):
        raise ValueError("mapping: choose a column with values")
    if mapping.get("sensor_column") and not {mapping["sensor_column"], mapping.get("value_column")} <= set(columns):
        raise ValueError("mapping: choose the columns with sensors and values")
    return mapping | {"columns": [_checked_column(row, columns) for row in rows]}


def _checked_column(row: Any, columns: list[str]) -> dict[str, str]:
    if not isinstance(row, dict) or row.get("column") not in columns:
        raise ValueError("mapping: names a column that the file has not")
    key = row.get("sensor")
    if not isinstance(key, str) or not re.fullmatch(r"[-\w]{1,80}", key, re.ASCII):
        raise ValueError("mapping: a sensor's key has letters, digits, hyphens and underscores, 80 at most")
    return {"column": row["column"], "sensor": key, "name": str(row.get("name") or "")[:80],
            "unit": str(row.get("unit") or "")[:20]}  # fmt: skip


def _end(upload: Upload) -> None:
    going = Upload.objects.filter(pk=upload.pk, state=State.READING)
    if going.update(state=State.DONE, ended_at=timezone.now(), claimed_at=None):
        _remove_file(upload)


def _fail(upload: Upload, error: str) -> None:
    live = Upload.objects.filter(pk=upload.pk, state__in=[State.WAITING, State.READY, State.READING])
    if live.update(state=State.FAILED, error=error[:400], ended_at=timezone.now(), claimed_at=None):
        _remove_file(upload)


def _remove_file(upload: Upload) -> None:
    name, storage = upload.file.name, upload.file.storage
    Upload.objects.filter(pk=upload.pk).update(file="")
    if name:
        transaction.on_commit(lambda: storage.delete(name))
