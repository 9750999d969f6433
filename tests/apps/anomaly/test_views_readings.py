"""Addresses with JSON of readings: four people each, and what cannot be."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.anomaly import plant, storing, uploads
from apps.anomaly.models import Asset, Sensor, Upload
from tests.apps.anomaly.conftest import T0

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
Put = Callable[..., storing.Stored]


def ask(user: User, name: str, argument: Any = None, data: Any = None, *, posts: bool = False) -> tuple[int, Any]:
    client = Client()
    client.force_login(user)
    address = reverse(f"anomaly:{name}", args=[] if argument is None else [argument])
    answer = client.post(address, data or {}) if posts else client.get(address, data or {})
    return answer.status_code, answer.json() if answer.headers["Content-Type"] == "application/json" else None


@pytest.fixture
def people(owner: User, member: User, viewer: User, stranger: User) -> list[User]:
    return [owner, member, viewer, stranger]


def statuses(people: list[User], *question: Any, **options: Any) -> list[int]:
    return [ask(user, *question, **options)[0] for user in people]


def test_series_are_for_who_sees_the_asset(people: list[User], put: Put, sensor: Sensor, other: Sensor) -> None:
    put(sensor, np.arange(100), np.arange(100))
    assert statuses(people, "series", sensor.asset_id) == [200, 200, 200, 404]
    found = ask(people[2], "series", sensor.asset_id, {"sensors": sensor.pk, "begin": T0 + 5, "end": T0 + 7})[1]
    assert found == {
        "begin": T0 + 5, "end": T0 + 7,
        "sensors": [{"id": sensor.pk, "key": "bearing", "name": "Bearing", "unit": "°C", "interval": 1.0, "level": 0,
                     "count": 3, "times": [T0 + 5, T0 + 6, T0 + 7], "values": [5, 6, 7]}],
    }  # fmt: skip
    everything = ask(people[0], "series", sensor.asset_id)[1]
    assert (everything["end"], [one["count"] for one in everything["sensors"]]) == (T0 + 99, [100, 0])
    iso = ask(people[0], "series", sensor.asset_id, {"begin": "2026-03-01T00:00:01Z", "end": "2026-03-01T01:00+01:00"})
    assert (iso[0], iso[1]["reasons"]) == (400, ["end: is before the begin"])


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"begin": "soon"}, "time: 'soon' is not ISO 8601"),
        ({"begin": "1e300"}, "begin: is not a time"),
        ({"points": "1"}, "points: must be between 10 and 20000"),
        ({"sensors": "0"}, "sensors: are not all of this asset"),
        ({"sensors": "a"}, "sensors: are not all of this asset"),
    ],
)
def test_a_query_that_cannot_be_says_why(owner: User, sensor: Sensor, query: dict[str, str], reason: str) -> None:
    assert ask(owner, "series", sensor.asset_id, query) == (400, {"reasons": [reason]})


def test_exports_are_for_who_sees_the_asset(people: list[User], put: Put, sensor: Sensor) -> None:
    put(sensor, [0], [1.0])
    assert statuses(people, "export", sensor.asset_id) == [200, 200, 200, 404]


def test_a_layout_is_ones_own(people: list[User], asset: Asset) -> None:
    assert statuses(people, "layout", asset.pk) == [200, 200, 200, 404]
    content = {"panels": [1, 2]}
    sent = {"content": json.dumps(content)}
    assert ask(people[2], "layout", asset.pk, sent, posts=True) == (200, {"content": content})
    assert [ask(user, "layout", asset.pk)[1]["content"] for user in people[:3]] == [{}, {}, content]
    for wrong in ("{", "[]", json.dumps({"a": "x" * 17_000})):
        assert ask(people[0], "layout", asset.pk, {"content": wrong}, posts=True)[0] == 400


def test_a_file_is_uploaded_looked_at_and_read(people: list[User], asset: Asset) -> None:
    def file() -> dict[str, Any]:
        return {"asset": asset.pk, "file": SimpleUploadedFile("a.csv", b"time,x\n2026-03-01,1\n2026-03-02,no\n")}

    assert [ask(user, "upload", None, file(), posts=True)[0] for user in people] == [202, 202, 404, 404]
    upload = Upload.objects.filter(owner=people[1]).get()
    assert statuses(people, "upload_state", upload.pk) == [200, 200, 200, 404]
    uploads.look(upload=upload)
    found = ask(people[2], "upload_state", upload.pk)[1]
    assert (found["state"], found["look"]["columns"][1]["kind"], found["total"]) == ("ready", "text", None)
    mapping = found["mapping"] | {"columns": [{"column": "x", "sensor": "x"}]}
    sent = {"mapping": json.dumps(mapping)}
    assert statuses(people[2:], "upload_read", upload.pk, sent, posts=True) == [404, 404]
    status, found = ask(people[1], "upload_read", upload.pk, sent, posts=True)
    assert (status, found["state"]) == (200, "reading")
    assert ask(people[1], "upload_read", upload.pk, sent, posts=True)[0] == 400
    upload.refresh_from_db()
    uploads.read(upload=upload)
    found = ask(people[2], "upload_state", upload.pk)[1]
    assert (found["state"], found["stored"], found["problems"]) == ("done", 1, [[2, "x", "'no' is no number"]])
    other = Upload.objects.exclude(pk=upload.pk).get()
    assert statuses(people, "upload_cancel", other.pk, posts=True) == [200, 200, 404, 404]


def test_faults_are_put_into_a_simulated_plant_only(people: list[User], asset: Asset, owner: User) -> None:
    fault = {"kind": "shift", "sensor": "flow", "seconds": 30}
    assert statuses(people, "faults", asset.pk, fault, posts=True) == [404] * 4
    station = plant.create(owner=owner)
    assert statuses(people, "faults", station.pk, fault, posts=True) == [200, 404, 404, 404]
    assert ask(owner, "faults", station.pk, fault | {"size": "x"}, posts=True)[0] == 400
    assert [one["size"] for one in ask(owner, "faults", station.pk, fault, posts=True)[1]["faults"]] == [8.0, 8.0]
