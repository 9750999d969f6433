"""Assets by key, and readings on their way in: batches, gzip, once each, out of order, with a reason for each row."""

import gzip
import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import Membership, Role, Scope, Team, User
from apps.anomaly.models import Asset, Reading
from apps.quotas.models import Metric, Window
from apps.quotas.models import Scope as Whose
from apps.quotas.services import set_limit
from tests.apps.anomaly.conftest import asset, sensor, team, unknown_partitions, viewer  # noqa: F401  fixtures
from tests.apps.api.asking import bearer
from tests.apps.api.native.asking import caller

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
READINGS = [
    {"sensor": "bearing", "time": 1772359200, "value": 1},
    {"sensor": "bearing", "time": "2026-03-01T11:00:01+01:00", "value": 2.5},
    {"sensor": "bearing", "time": "2026-03-01 09:59:59", "value": 0},
]


def send(asset: Asset, user: User, body: dict[str, Any]) -> tuple[int, Any]:  # noqa: F811
    return caller(user).ask("post", f"/anomaly/assets/{asset.pk}/readings", body)


def values() -> list[tuple[str, float]]:
    return [(row.at.strftime("%H:%M:%S"), row.value) for row in Reading.objects.order_by("at")]


@pytest.mark.usefixtures("sensor")
def test_readings_are_stored_in_whichever_order_they_come(asset: Asset, member: User) -> None:  # noqa: F811
    assert send(asset, member, {"readings": READINGS}) == (200, {"stored": 3, "known": 0, "rejected": 0, "errors": []})
    assert values() == [("09:59:59", 0), ("10:00:00", 1), ("10:00:01", 2.5)]
    later = [*READINGS[1:], {"sensor": "bearing", "time": 1772359205, "value": 7}]
    assert send(asset, member, {"readings": later})[1] == {"stored": 1, "known": 2, "rejected": 0, "errors": []}


@pytest.mark.usefixtures("sensor")
def test_pairs_by_sensor_are_the_same_in_less_space(asset: Asset, owner: User) -> None:  # noqa: F811
    body = {"series": {"bearing": [[1772359200.5, 1], ["2026-03-01T10:00:01Z", 2]]}}
    assert send(asset, owner, body)[1]["stored"] == 2


@pytest.mark.usefixtures("sensor")
def test_what_is_wrong_with_a_row_keeps_no_other_out(asset: Asset, owner: User) -> None:  # noqa: F811
    ahead = timezone.now().timestamp() + 90_000
    wrong = [
        {"sensor": "nobody", "time": 0, "value": 1},
        {"sensor": "bearing", "time": "yesterday", "value": 1},
        {"sensor": "bearing", "time": 1772359200, "value": "1"},
        {"sensor": "bearing", "time": 1772359200, "value": None},
        {"sensor": "bearing", "time": True, "value": 1},
        {"sensor": "bearing", "time": 1772359200000, "value": 1},
        {"sensor": "bearing", "time": ahead, "value": 1},
        {"sensor": "bearing", "time": -1, "value": 1},
        7,
    ]
    status, answer = send(asset, owner, {"readings": [*wrong, READINGS[0]], "series": {"bearing": [[1, 2, 3]], "x": 5}})
    assert (status, answer["stored"], answer["rejected"]) == (200, 1, 11)
    future = "time: is in the future: times are seconds since the epoch, or ISO 8601"
    assert [(one["place"], one["reason"]) for one in answer["errors"]] == [
        ("readings.0", "sensor: 'nobody' is none of this asset"),
        ("readings.1", "time: 'yesterday' is not ISO 8601"),
        ("readings.2", "value: must be a finite number"),
        ("readings.3", "value: must be a finite number"),
        ("readings.4", "time: must be seconds since the epoch, or ISO 8601"),
        ("readings.5", future),
        ("readings.6", future),
        ("readings.7", "time: is before 1970"),
        ("readings.8", "sensor: 'None' is none of this asset"),
        ("series.bearing.0", "time: must be seconds since the epoch, or ISO 8601"),
        ("series.x.0", "sensor: 'x' is none of this asset"),
    ]


@pytest.mark.usefixtures("sensor")
def test_a_body_may_be_packed(asset: Asset, owner: User) -> None:  # noqa: F811
    def packed(content: bytes, encoding: str = "gzip") -> tuple[int, Any]:
        headers = bearer(owner) | {"Content-Encoding": encoding}
        path = f"/api/v1/anomaly/assets/{asset.pk}/readings"
        answer = Client().post(path, content, content_type="application/json", headers=headers)
        return answer.status_code, answer.json()

    content = json.dumps({"readings": READINGS}).encode()
    assert packed(gzip.compress(content)) == (200, {"stored": 3, "known": 0, "rejected": 0, "errors": []})
    assert [packed(content)[0], packed(gzip.compress(content)[:-9])[0], packed(content, "br")[0]] == [400, 400, 415]
    assert packed(gzip.compress(b"[" + b" " * 9_000_000))[0] == 413


@pytest.mark.usefixtures("sensor")
def test_new_keys_make_sensors_when_that_is_asked(asset: Asset, owner: User) -> None:  # noqa: F811
    body = {"readings": [{"sensor": "speed", "time": 1, "value": 1}, {"sensor": "no good", "time": 1, "value": 1}]}
    assert send(asset, owner, body)[1]["rejected"] == 2
    assert send(asset, owner, body | {"create_sensors": True})[1]["rejected"] == 1
    assert sorted(asset.sensors.values_list("key", flat=True)) == ["bearing", "speed"]


@pytest.mark.usefixtures("sensor")
def test_too_many_and_too_much_are_refused(asset: Asset, owner: User) -> None:  # noqa: F811
    many = {"series": {"bearing": [[n, 1] for n in range(20_001)]}}
    assert send(asset, owner, many)[1]["error"]["message"] == "readings: at most 20000 at once, these are 20001"
    set_limit(
        scope=Whose.USER, subject=str(owner.pk), metric=Metric.STORED_BYTES, window=Window.NOW, amount=1, actor=None
    )
    status, answer = send(asset, owner, {"readings": READINGS})
    assert (status, answer["error"]["metric"]) == (429, "stored_bytes")


@pytest.mark.usefixtures("sensor")
def test_who_may_send(asset: Asset, owner: User, member: User, viewer: User, stranger: User) -> None:  # noqa: F811
    statuses = {user.email: send(asset, user, {"readings": READINGS})[0] for user in (owner, member, viewer, stranger)}
    assert list(statuses.values()) == [200, 200, 404, 404]
    path = f"/anomaly/assets/{asset.pk}/readings"
    assert caller(owner, scopes=[Scope.CHAT]).ask("post", path, {"readings": []})[0] == 403


def test_assets_and_sensors_by_key(owner: User, stranger: User) -> None:
    ours = Team.objects.create(name="Ours")
    Membership.objects.create(team=ours, user=owner, role=Role.OWNER)
    mine, theirs = caller(owner), caller(stranger)
    made = mine.made("/anomaly/assets", {"name": "Line 2", "team": ours.pk, "tags": ["hall", "north"]})
    assert (made["team"], made["tags"], made["readings"], made["group_seconds"]) == (ours.pk, ["hall", "north"], 0, 300)
    path = f"/anomaly/assets/{made['id']}"
    sensor = mine.made(f"{path}/sensors", {"key": "speed", "unit": "m/s", "keep_days": None})  # noqa: F811
    assert (sensor["name"], sensor["keep_days"]) == ("speed", None)
    status, answer = mine.ask("post", f"{path}/sensors", {"key": "speed"})
    assert (status, answer["error"]["param"]) == (400, "key")
    changed = mine.ask("patch", f"/anomaly/sensors/{sensor['id']}", {"keep_days": 30, "interval": 0.5})[1]
    assert (changed["keep_days"], changed["interval"], changed["unit"]) == (30, 0.5, "m/s")
    assert mine.ask("patch", path, {"about": "New"})[1]["tags"] == ["hall", "north"]
    assert mine.ask("patch", path, {"tags": ["a,b"]})[0] == 400
    assert [
        theirs.ask(method, path, {} if method == "patch" else None)[0] for method in ("get", "patch", "delete")
    ] == [404] * 3
    assert (theirs.ask("get", "/anomaly/assets")[1]["data"], len(mine.ask("get", "/anomaly/assets")[1]["data"])) == (
        [],
        1,
    )
    assert theirs.ask("delete", f"/anomaly/sensors/{sensor['id']}")[0] == 404
    assert (mine.ask("delete", f"/anomaly/sensors/{sensor['id']}")[0], mine.ask("delete", path)[0]) == (204, 204)
