"""By key: detectors, incidents, rules, silences, deliveries of assets, for who may on pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.anomaly.models import AlertRule, Asset, Delivery, Detector, Finding, Fit, Incident, Sensor
from tests.apps.anomaly.conftest import (  # noqa: F401  fixtures
    asset,
    other,
    sensor,
    team,
    unknown_partitions,
    viewer,
)
from tests.apps.api.native.asking import Caller, caller

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def callers(owner: User, member: User, viewer: User, stranger: User) -> list[Caller]:  # noqa: F811
    return [caller(user) for user in (owner, member, viewer, stranger)]


def statuses(callers: list[Caller], method: str, path: str, body: Any = None) -> list[int]:
    return [one.ask(method, f"/anomaly{path}", body)[0] for one in callers]


@pytest.fixture
def incident(asset: Asset, sensor: Sensor) -> Incident:  # noqa: F811
    at = datetime(2026, 3, 1, tzinfo=UTC)
    incident = Incident.objects.create(asset=asset, began_at=at, last_at=at)
    Finding.objects.create(incident=incident, kind="stopped", sensor=sensor, began_at=at, last_at=at)
    return incident


def test_a_detector_is_made_fitted_and_set(callers: list[Caller], asset: Asset, sensor: Sensor, other: Sensor) -> None:  # noqa: F811
    path, body = f"/assets/{asset.pk}/detectors", {"sensors": [other.pk, sensor.pk], "name": "Both"}
    assert statuses(callers, "post", path, body) == [201, 201, 404, 404]
    found = callers[2].ask("get", f"/anomaly{path}")[1]["data"][0]
    assert (found["sensors"], found["state"], found["fit"]) == ([other.pk, sensor.pk], "new", None)
    assert callers[0].ask("post", f"/anomaly{path}", {"sensors": [0]})[0] == 400
    one = f"/detectors/{found['id']}"
    assert statuses(callers, "get", one) == [200, 200, 200, 404]
    span = {"begin": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z", "kind": "pca"}
    assert statuses(callers, "post", f"{one}/fits", span) == [201, 400, 404, 404]  # the second while the first is
    assert callers[0].ask("post", f"/anomaly{one}/fits", span | {"begin": "2026-03-01T00:00:00"})[0] == 400
    fit = callers[2].ask("get", f"/anomaly{one}/fits")[1]["data"][0]
    assert (fit["state"], fit["asked"], fit["number"]) == ("preparing", "pca", 1)
    assert statuses(callers, "get", f"/fits/{fit['id']}") == [200, 200, 200, 404]
    assert statuses(callers, "post", f"/fits/{fit['id']}/serve") == [400, 400, 404, 404]
    assert statuses(callers, "put", f"{one}/threshold", {"threshold": 3.5}) == [200, 200, 404, 404]
    assert callers[0].ask("put", f"/anomaly{one}/threshold", {})[0] == 400
    assert callers[2].ask("get", f"/anomaly{one}/thresholds?days=7")[1]["thresholds"] == [3.5]
    assert statuses(callers, "post", f"{one}/pause") == [409, 409, 404, 404]
    Detector.objects.filter(pk=found["id"]).update(state="watching", fit=Fit.objects.get())
    assert callers[1].ask("post", f"/anomaly{one}/pause")[1]["state"] == "paused"
    assert callers[1].ask("post", f"/anomaly{one}/resume")[1]["state"] == "watching"
    assert statuses(callers[::-1], "delete", one) == [404, 404, 404, 204]  # a member works with it, and deletes nothing


def test_an_incident_is_judged_assigned_and_commented(callers: list[Caller], incident: Incident, member: User) -> None:
    one = f"/incidents/{incident.pk}"
    assert statuses(callers, "get", one) == [200, 200, 200, 404]
    assert [len(each.ask("get", "/anomaly/incidents?state=open")[1]["data"]) for each in callers] == [1, 1, 1, 0]
    assert (
        callers[0].ask("get", f"/anomaly/incidents?asset={incident.asset_id}")[1]["data"][0]["title"]
        == "sensor stopped: Bearing"
    )
    assert statuses(callers, "put", f"{one}/state", {"state": "acknowledged"}) == [200, 409, 404, 404]
    assert statuses(callers, "put", f"{one}/assignee", {"assignee": member.pk}) == [200, 200, 404, 404]
    assert callers[0].ask("put", f"/anomaly{one}/assignee", {"assignee": 2**31 - 1})[0] == 404
    assert statuses(callers, "post", f"{one}/comments", {"text": "grease"}) == [201, 201, 404, 404]
    status, found = callers[1].ask("put", f"/anomaly{one}/state", {"state": "false_alarm"})
    assert (status, found["state"], found["assignee"]["id"]) == (200, "false_alarm", member.pk)
    assert [one["act"] for one in found["comments"]] == ["state", "assigned", "said", "said", "state"]


def test_rules_are_changed_by_who_manages_the_asset(callers: list[Caller], asset: Asset, sensor: Sensor) -> None:  # noqa: F811
    path = f"/assets/{asset.pk}/rules"
    body = {"name": "Loud", "severity": "critical", "emails": ["crew@example.com"], "sensor": sensor.pk}
    assert statuses(callers, "post", path, body) == [201, 404, 404, 404]
    assert len(callers[2].ask("get", f"/anomaly{path}")[1]["data"]) == 4
    assert callers[0].ask("post", f"/anomaly{path}", body | {"webhook": "http://127.0.0.1/"})[0] == 400
    assert callers[0].ask("post", f"/anomaly{path}", body | {"sensor": 2**31 - 1})[0] == 400
    rule = AlertRule.objects.get(name="Loud")
    assert statuses(callers, "put", f"/rules/{rule.pk}", body | {"for_seconds": 60}) == [200, 404, 404, 404]
    assert statuses(callers, "post", f"/rules/{rule.pk}/secret") == [200, 404, 404, 404]
    assert (
        callers[0].ask("post", f"/anomaly/rules/{rule.pk}/secret")[1]["secret"]
        == AlertRule.objects.get(pk=rule.pk).secret
    )
    assert statuses(callers[::-1], "delete", f"/rules/{rule.pk}") == [404, 404, 404, 204]


def test_silences_and_quiet_hours(callers: list[Caller], asset: Asset) -> None:  # noqa: F811
    body = {"begins_at": "2026-03-01T00:00:00Z", "ends_at": "2026-03-01T08:00:00Z", "reason": "cleaning"}
    path = f"/assets/{asset.pk}/silences"
    assert statuses(callers, "post", path, body) == [201, 201, 404, 404]
    assert callers[0].ask("post", f"/anomaly{path}", body | {"ends_at": "2026-02-01T00:00:00Z"})[0] == 400
    found = callers[2].ask("get", f"/anomaly{path}")[1]["data"]
    assert [one["reason"] for one in found] == ["cleaning", "cleaning"]
    assert statuses(callers[::-1], "delete", f"/silences/{found[0]['id']}") == [404, 404, 204, 204]
    quiet = f"/assets/{asset.pk}/quiet-hours"
    row = {
        "days": [5, 6],
        "begins": "22:00:00",
        "ends": "06:00:00",
        "time_zone": "Europe/Berlin",
        "severity": "warning",
    }
    assert statuses(callers, "put", quiet, {"quiet_hours": [row]}) == [200, 404, 404, 404]
    assert callers[0].ask("put", f"/anomaly{quiet}", {"quiet_hours": [row | {"time_zone": "Mars"}]})[0] == 400
    assert callers[2].ask("get", f"/anomaly{quiet}")[1] == {"quiet_hours": [row]}


def test_deliveries_are_ones_own_and_addresses_those_of_managers(
    callers: list[Caller], incident: Incident, member: User
) -> None:
    for channel, target in (("in_app", str(member.pk)), ("email", "crew@example.com")):
        Delivery.objects.create(
            incident=incident, event="opened", severity="info", channel=channel, target=target,
            due_at=timezone.now() - timedelta(hours=1),
        )  # fmt: skip
    found = [[row["channel"] for row in one.ask("get", "/anomaly/deliveries")[1]["data"]] for one in callers]
    assert found == [["email"], ["in_app"], [], []]


def test_series_and_files(callers: list[Caller], asset: Asset, sensor: Sensor) -> None:  # noqa: F811
    body = {"series": {"bearing": [[1772359200, 1], [1772359201, 2]]}}
    callers[0].ask("post", f"/anomaly/assets/{asset.pk}/readings", body)
    assert statuses(callers, "get", f"/assets/{asset.pk}/series?points=10") == [200, 200, 200, 404]
    found = callers[2].ask("get", f"/anomaly/assets/{asset.pk}/series")[1]["sensors"][0]
    assert (found["key"], found["values"]) == ("bearing", [1.0, 2.0])
    assert callers[2].ask("get", f"/anomaly/assets/{asset.pk}/series?begin=soon")[0] == 400
