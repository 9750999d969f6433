"""Files of strangers: looked at, mapped, read to their end or refused with a sentence."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase, override_settings
from django.utils import timezone, translation

from apps.accounts.models import User
from apps.anomaly import tablereading, uploads
from apps.anomaly.models import Asset, Reading, Sensor, Upload

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

GERMAN = """Zeit;Temperatur [°C];Druck (bar);Notiz
01.03.2026 10:00:00;20,5;1,2;an
01.03.2026 10:00:10;20,7;;an
01.03.2026 10:00:35;1.020,7;1,3;an
01.03.2026 10:00:40;kaputt;1,4;
nie;21,0;1,4;
01.03.2026 10:00:50;21,1;1,5;
01.03.2026 10:01:00;21,1;1,5;
"""


def sent(asset: Asset, content: bytes | str, name: str = "a.csv") -> Upload:
    data = content.encode() if isinstance(content, str) else content
    upload = uploads.receive(asset=asset, owner=asset.owner, file=SimpleUploadedFile(name, data))
    uploads.look(upload=upload)
    upload.refresh_from_db()
    return upload


def finished(upload: Upload, mapping: dict[str, Any] | None = None) -> Upload:
    uploads.begin(upload=upload, mapping=mapping or upload.mapping)
    while uploads.read(upload=upload):
        pass
    upload.refresh_from_db()
    return upload


def readings(asset: Asset) -> dict[str, list[tuple[str, float]]]:
    rows = Reading.objects.order_by("at")
    return {
        one.key: [(row.at.strftime("%H:%M:%S"), row.value) for row in rows.filter(sensor_id=one.pk)]
        for one in asset.sensors.all()
    }


def test_semicolons_commas_irregular_times_and_missing_cells_are_read_as_guessed(asset: Asset) -> None:
    upload = sent(asset, GERMAN, "dir\\press.csv")
    assert (upload.state, upload.name, upload.found["delimiter"], upload.found["decimal"]) == (
        "ready",
        "press.csv",
        ";",
        ",",
    )
    assert [one["kind"] for one in upload.found["columns"]] == ["time", "number", "number", "text"]
    assert upload.mapping == {
        "time": "Zeit", "time_zone": "UTC", "time_format": "%d.%m.%Y %H:%M:%S",
        "columns": [
            {"column": "Temperatur [°C]", "sensor": "temperatur", "name": "Temperatur", "unit": "°C"},
            {"column": "Druck (bar)", "sensor": "druck", "name": "Druck", "unit": "bar"},
        ],
    }  # fmt: skip
    finished(upload)
    assert (upload.state, upload.position, upload.stored, upload.failed, bool(upload.file)) == ("done", 7, 10, 2, False)
    assert upload.problems == [[4, "Temperatur [°C]", "'kaputt' is no number"], [5, "Zeit", "'nie' is no time"]]
    found = readings(asset)
    assert found["temperatur"] == [("10:00:00", 20.5), ("10:00:10", 20.7), ("10:00:35", 1020.7), ("10:00:50", 21.1),
                                   ("10:01:00", 21.1)]  # fmt: skip
    assert [value for _, value in found["druck"]] == [1.2, 1.3, 1.4, 1.5, 1.5]
    assert asset.sensors.get(key="druck").unit == "bar"


def test_a_file_twice_adds_nothing(asset: Asset) -> None:
    finished(sent(asset, GERMAN))
    again = finished(sent(asset, GERMAN))
    assert (again.stored, again.known) == (0, 10)


def test_the_long_form_is_one_row_a_reading(asset: Asset, sensor: Sensor) -> None:
    upload = sent(
        asset, "ts,tag,value\n1772359200,bearing,1\n1772359200,Motor 2,5\n1772359201,bearing,2\n1772359202,,2\n"
    )
    assert upload.mapping == {"time": "ts", "time_zone": "UTC", "time_format": "auto", "sensor_column": "tag",
                              "value_column": "value"}  # fmt: skip
    finished(upload)
    assert readings(asset) == {"bearing": [("10:00:00", 1), ("10:00:01", 2)], "motor-2": [("10:00:00", 5)]}
    assert upload.problems == [[4, "tag", "names no sensor"]]


def test_times_without_a_zone_are_of_the_zone_that_is_said(asset: Asset) -> None:
    upload = sent(asset, "time\tx\n2026-03-01 10:00\t1\n2026-07-01 10:00\t2\n")
    finished(upload, upload.mapping | {"time_zone": "Europe/Berlin"})
    assert readings(asset)["x"] == [("09:00:00", 1), ("08:00:00", 2)]


def test_a_parquet_file_is_read(asset: Asset) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    times = [datetime(2026, 3, 1, 10, tzinfo=UTC) + timedelta(seconds=n) for n in range(30_000)]
    table = pa.table({"when": times, "flow": np.arange(30_000.0), "state": ["on"] * 30_000,
                      "n": pa.array([None, *range(1, 30_000)], pa.int32())})  # fmt: skip
    content = io.BytesIO()
    pq.write_table(table, content)
    upload = sent(asset, content.getvalue(), "a.parquet")
    assert [one["kind"] for one in upload.found["columns"]] == ["time", "number", "text", "number"]
    assert upload.found["rows"][0] == ["2026-03-01T10:00:00+00:00", "0", "on", ""]
    finished(upload)
    assert (upload.state, upload.position, upload.stored) == ("done", 30_000, 59_999)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "The file is empty."),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "The file is no text: a CSV file or a Parquet file is read here."),
        (b"PAR1 this is none", "The file is damaged: it is no Parquet file that can be read."),
        (b"time,value\n", "The file has columns and no rows."),
    ],
)
def test_what_cannot_be_read_says_why(asset: Asset, content: bytes, error: str) -> None:
    upload = sent(asset, content)
    assert (upload.state, upload.error) == ("failed", error)


def test_a_file_that_ends_its_reader_fails_and_the_next_one_is_read(asset: Asset, monkeypatch: Any) -> None:
    upload = sent(asset, "time,x\n2026-03-01,1\n")
    uploads.begin(upload=upload, mapping=upload.mapping)
    reader = tablereading.reader()
    reader._running().kill()
    reader._running = lambda: reader._process  # type: ignore[method-assign]
    uploads.read(upload=upload)
    del reader._running
    upload.refresh_from_db()
    assert (upload.state, upload.error) == ("failed", "The program that reads files was ended by this file.")
    assert finished(sent(asset, "time,x\n2026-03-01,1\n")).stored == 1


def test_memory_of_the_reader_is_limited(asset: Asset) -> None:
    tablereading.reader().close()
    with override_settings(ANOMALY_READER_MB=300):
        upload = sent(asset, b"time,x\n2026-03-01," + b"1" * 150_000_000)
    tablereading.reader().close()
    assert (upload.state, upload.error) == ("failed", "The file needs more memory than reading one may take.")


def test_a_reader_that_was_killed_between_slices_is_gone_on_with(asset: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "ROWS", 10)
    content = "time,x\n" + "".join(f"{1772359200 + n},{n}\n" for n in range(35))
    upload = sent(asset, content)
    uploads.begin(upload=upload, mapping=upload.mapping)
    assert uploads.read(upload=upload, seconds=0)
    Upload.objects.filter(pk=upload.pk).update(position=0, stored=0)  # its readings were stored, its row was not
    tablereading.reader().close()
    upload.refresh_from_db()
    while uploads.read(upload=upload, seconds=0):
        pass
    upload.refresh_from_db()
    assert (upload.state, upload.stored, upload.known, Reading.objects.count()) == ("done", 25, 10, 35)


def test_two_readers_of_one_file_are_one(asset: Asset) -> None:
    upload = sent(asset, GERMAN)
    uploads.begin(upload=upload, mapping=upload.mapping)
    Upload.objects.filter(pk=upload.pk).update(claimed_at=timezone.now())
    assert not uploads.read(upload=upload)
    upload.refresh_from_db()
    assert (upload.state, upload.position) == ("reading", 0)


def test_a_cancelled_file_is_gone_and_what_was_read_stays(asset: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "ROWS", 2)
    upload = sent(asset, GERMAN)
    uploads.begin(upload=upload, mapping=upload.mapping)
    uploads.read(upload=upload, seconds=0)
    assert uploads.cancel(upload=upload)
    assert not uploads.read(upload=upload)
    assert (upload.state, bool(upload.file), Reading.objects.count()) == ("cancelled", False, 3)
    assert not uploads.cancel(upload=upload)


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ([], "must be an object"),
        ({"time": "nope"}, "choose the column with the times"),
        ({"time": "time"}, "choose a column with values"),
        ({"time": "time", "time_zone": "Mars/Olympus", "columns": []}, "'Mars/Olympus' is none"),
        ({"time": "time", "time_format": "rfc", "columns": []}, "in a form that is not known"),
        ({"time": "time", "columns": [{"column": "y", "sensor": "y"}]}, "a column that the file has not"),
        ({"time": "time", "columns": [{"column": "x", "sensor": "no spaces"}]}, "a sensor's key has letters"),
    ],
)
def test_a_mapping_that_cannot_be_says_why(asset: Asset, mapping: Any, reason: str) -> None:
    upload = sent(asset, "time,x\n2026-03-01,1\n")
    with pytest.raises(ValueError, match=reason):
        uploads.begin(upload=upload, mapping=mapping)


def test_a_limit_ends_it_with_a_sentence(asset: Asset, owner: User) -> None:
    from apps.quotas.models import Metric, Scope, Window
    from apps.quotas.services import set_limit

    set_limit(
        scope=Scope.USER, subject=str(owner.pk), metric=Metric.STORED_BYTES, window=Window.NOW, amount=1, actor=None
    )
    with translation.override("en"):  # whatever an earlier test has left
        upload = finished(sent(asset, GERMAN))
    assert upload.state == "failed" and "the limit of" in upload.error


def test_a_file_that_nobody_confirms_is_deleted(asset: Asset) -> None:
    old, young = sent(asset, GERMAN), sent(asset, GERMAN)
    Upload.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=8))
    path = Path(old.file.path)
    with TestCase.captureOnCommitCallbacks(execute=True):
        uploads.sweep()
    for upload in (old, young):
        upload.refresh_from_db()
    assert (young.state, old.state, bool(old.file), path.exists()) == ("ready", "failed", False, False)
    assert old.error == "The file was not read within 7 days and is deleted. Send it again."


def test_a_message_that_was_lost_is_sent_again_and_no_other(asset: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    sent_tasks: list[str] = []
    monkeypatch.setattr(uploads.telling, "send", lambda task, *arguments: sent_tasks.append(task))
    upload = sent(asset, GERMAN)
    uploads.begin(upload=upload, mapping=upload.mapping)
    sent_tasks.clear()
    uploads.sweep()
    assert sent_tasks == []
    Upload.objects.update(claimed_at=timezone.now() - timedelta(minutes=5))
    uploads.sweep()
    assert sent_tasks == ["anomaly.read"]
    Upload.objects.update(attempts=3)
    uploads.sweep()
    upload.refresh_from_db()
    assert (upload.state, "several times" in upload.error) == ("failed", True)
