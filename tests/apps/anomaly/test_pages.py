"""Pages: three people, one and thirty rows, and what forms do."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Team, User
from apps.anomaly import assets, plant
from apps.anomaly.models import (
    AlertRule,
    Asset,
    Comment,
    Delivery,
    Detector,
    Finding,
    Fit,
    Incident,
    QuietHours,
    Sensor,
    Silence,
    Upload,
)
from apps.anomaly.views.pages.board import arranged
from apps.audit.models import AuditEntry
from tests.apps.anomaly.conftest import BEGIN

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def url(name: str, *arguments: Any) -> str:
    return reverse(f"anomaly:{name}", args=arguments)


def text_of(client: Client, address: str) -> str:
    """What a page says, without its marks."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.content.decode()))


@pytest.fixture
def detector(asset: Asset, sensor: Sensor, other: Sensor) -> Detector:
    """With two versions, of which the first one watches."""
    made = Detector.objects.create(
        asset=asset, name="Both", columns=[sensor.pk, other.pk], state=Detector.State.WATCHING, threshold=1.2
    )
    made.sensors.set([sensor, other])
    row = {"detector": "pca", "vus_pr": 0.71, "f1": 0.62, "event_recall": 0.8, "false_alarm_rate": 0.012, "error": ""}
    rest = {"detector": "v4", "error": "torch is missing"}
    shared = {"begin": BEGIN, "end": BEGIN + timedelta(days=1), "state": Fit.State.READY, "kind": "pca"}
    report = {
        "detector": "pca",
        "reason": "It is best.",
        "basis": "injected",
        "rows": [row, rest],
        "interval": 1.0,
        "calibration": {},
    }
    for number in (1, 2):
        Fit.objects.create(detector=made, number=number, report=report, **shared)
    made.fit = made.fits.get(number=1)
    made.save()
    return made


def found(asset: Asset, detector: Detector, **values: Any) -> Incident:
    """An incident that the first sensor is most of the reason for."""
    began = BEGIN + timedelta(hours=1)
    shared = {"began_at": began, "last_at": began + timedelta(minutes=5), "ended_at": began + timedelta(minutes=5)}
    incident = Incident.objects.create(asset=asset, peak=2.0, **{**shared, **values})
    Finding.objects.create(
        incident=incident, kind=Finding.Kind.SCORE, detector=detector, threshold=1.2, peak=2.4, peak_at=began,
        columns=detector.columns, shares=[0.9, 0.1], measured=[86.2, 14.0], expected=[72.0, None], **shared,
    )  # fmt: skip
    return incident


@pytest.fixture
def incident(asset: Asset, detector: Detector) -> Incident:
    return found(asset, detector)


@pytest.fixture
def upload(asset: Asset, owner: User) -> Upload:
    return Upload.objects.create(asset=asset, owner=owner, name="a.csv", state=Upload.State.READY)


def test_a_stranger_gets_404_and_members_look(
    asset: Asset, incident: Incident, upload: Upload, owner: User, member: User, viewer: User, stranger: User
) -> None:
    seen = [
        url("asset", asset.pk), url("found", asset.pk), url("settings", asset.pk), url("data", asset.pk),
        url("detectors", asset.pk), url("detectors_live", asset.pk), url("rules", asset.pk),
        url("incident", incident.pk), url("upload_page", upload.pk),
    ]  # fmt: skip
    for address in seen:
        codes = [browser(who).get(address).status_code for who in (owner, member, viewer, stranger)]
        assert codes == [200, 200, 200, 404], address
        assert Client().get(address).status_code == 302
    for name in ("assets", "incidents", "deliveries"):
        assert "Press 4" not in text_of(browser(stranger), url(name))
    assert "Press 4" in text_of(browser(viewer), url("assets"))
    assert [browser(who).get(url("simulator", asset.pk)).status_code for who in (owner, stranger)] == [404, 404]


def test_who_may_do_what(
    asset: Asset, sensor: Sensor, detector: Detector, incident: Incident, upload: Upload, owner: User, member: User,
    viewer: User, stranger: User,
) -> None:  # fmt: skip
    rule = asset.rules.first()
    silence = Silence.objects.create(asset=asset, begins_at=BEGIN, ends_at=BEGIN + timedelta(days=1))
    worked = [
        url("act", incident.pk), url("assign", incident.pk), url("comment", incident.pk),
        url("upload_leave", upload.pk),
        url("create_detector", asset.pk), url("fit_detector", detector.pk), url("pause_detector", detector.pk),
        url("resume_detector", detector.pk), url("serve", detector.fit.pk), url("silence", asset.pk),
        url("end_silence", silence.pk),
    ]  # fmt: skip
    managed = [
        url("change", asset.pk), url("add_sensor", asset.pk), url("change_sensor", sensor.pk),
        url("delete_sensor", sensor.pk), url("delete_detector", detector.pk), url("create_rule", asset.pk),
        url("change_rule", rule.pk), url("delete_rule", rule.pk), url("new_secret", rule.pk), url("test_rule", rule.pk),
        url("quiet_hours", asset.pk), url("delete", asset.pk),
    ]  # fmt: skip
    for address in worked:
        codes = [browser(who).post(address).status_code for who in (member, viewer, stranger)]
        assert codes == [302, 404, 404], address
    for address in managed:
        codes = [browser(who).post(address).status_code for who in (member, viewer, stranger)]
        assert codes == [404, 404, 404], address
    assert browser(owner).post(url("change", asset.pk)).status_code == 302
    assert Asset.objects.filter(pk=asset.pk).exists()


def test_the_navigation_counts_the_open_incidents_that_one_sees(
    asset: Asset, detector: Detector, incident: Incident, owner: User, member: User, stranger: User
) -> None:
    found(asset, detector, state=Incident.State.ACKNOWLEDGED)
    counts = [incidents_in_navigation(person) for person in (owner, member, stranger)]
    assert counts == ["1", "1", None]
    found(asset, detector)
    assert incidents_in_navigation(member) == "2"


def incidents_in_navigation(person: User) -> str | None:
    """As it stands on a page that has nothing to do with signals; None where it is hidden."""
    page = browser(person).get("/keys/").content.decode()
    hidden, count = re.search(r"data-open-incidents( hidden)?>.*?data-count>(\d+)<", page).groups()  # type: ignore[union-attr]
    return None if hidden else str(count)


def test_viewers_see_no_buttons(asset: Asset, incident: Incident, member: User, viewer: User) -> None:
    for name, button in (("asset", "Acknowledge"), ("detectors", "Fit again"), ("rules", "Silence ")):
        assert button in text_of(browser(member), url(name, asset.pk))
        assert button not in text_of(browser(viewer), url(name, asset.pk))


@pytest.mark.parametrize("name", ["assets", "incidents", "deliveries"])
def test_lists_ask_as_often_for_thirty_rows(
    name: str, asset: Asset, detector: Detector, incident: Incident, owner: User
) -> None:
    rule = asset.rules.first()

    def deliver(about: Incident) -> None:
        shared = {"severity": "warning", "due_at": BEGIN, "channel": "email", "target": "a@example.com"}
        Delivery.objects.create(incident=about, rule=rule, event="opened", **shared)

    deliver(incident)
    client = browser(owner)
    client.get(url(name))
    with CaptureQueriesContext(connection) as one:
        client.get(url(name))
    for n in range(29):
        more = assets.create(owner=owner, name=f"Asset {n}")
        assets.add_sensor(asset=more, key="a")
        deliver(found(asset, detector))
    with CaptureQueriesContext(connection) as thirty:
        assert client.get(url(name)).status_code == 200
    assert len(thirty) == len(one)


def test_the_dashboard_asks_as_often_for_thirty_sensors(
    asset: Asset, detector: Detector, incident: Incident, owner: User
) -> None:
    client = browser(owner)
    client.get(url("asset", asset.pk))
    with CaptureQueriesContext(connection) as one:
        client.get(url("asset", asset.pk))
    for n in range(28):
        assets.add_sensor(asset=asset, key=f"s{n}")
    for _ in range(5):
        found(asset, detector)
    with CaptureQueriesContext(connection) as thirty:
        page = client.get(url("asset", asset.pk)).content.decode()
    assert page.count("data-sensor=") == 30
    assert len(thirty) == len(one)


def test_panels_stand_as_somebody_arranged_them(
    asset: Asset, detector: Detector, sensor: Sensor, other: Sensor
) -> None:
    lonely = assets.add_sensor(asset=asset, key="lonely")
    sensors, detectors = [sensor, other, lonely], [detector]
    keys = [panel["key"] for panel in arranged(sensors, detectors, {})]
    assert keys == [f"s{sensor.pk}", f"s{other.pk}", f"d{detector.pk}", f"s{lonely.pk}"]
    mine = {"order": [f"d{detector.pk}", "s999999", 7], "hidden": [f"s{other.pk}"], "large": "all"}
    panels = arranged(sensors, detectors, mine)
    assert [panel["key"] for panel in panels] == [keys[2], keys[0], keys[1], keys[3]]
    assert [panel["is_hidden"] for panel in panels] == [False, False, True, False]


def test_a_layout_is_ones_own(asset: Asset, sensor: Sensor, owner: User, member: User) -> None:
    assets.save_layout(asset=asset, user=owner, content={"hidden": [f"s{sensor.pk}"]})
    mark = f'data-panel="s{sensor.pk}"'
    shown = [browser(who).get(url("asset", asset.pk)).content.decode() for who in (owner, member)]
    sections = [next(line for line in page.splitlines() if mark in line).partition(">")[0] for page in shown]
    assert [section.endswith(" hidden") for section in sections] == [True, False]


def test_a_link_to_the_past_is_drawn_around(asset: Asset, sensor: Sensor, put: Any, owner: User) -> None:
    put(sensor, [0, 1, 2], [1, 2, 3])
    client = browser(owner)
    now = client.get(url("asset", asset.pk)).context["facts"]
    assert (now["shown"], now["end"]) == (None, BEGIN.timestamp() + 2)
    assert (now["span"], now["end"] - now["begin"]) == ("1h", 3600)
    past = {"begin": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}
    facts = client.get(url("asset", asset.pk), past).context["facts"]
    begin = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert facts["shown"] == [begin, begin + 3600]
    assert (facts["begin"], facts["end"]) == (begin - 7200, begin + 3600 + 7200)
    for wrong in (
        {"begin": "x"},
        {"begin": "9", "end": "3"},
        {"begin": "nan", "end": "inf"},
        {"begin": "1e99", "end": "2e99"},
    ):
        assert client.get(url("asset", asset.pk), wrong).context["facts"]["shown"] is None


def test_empty_states(owner: User, stranger: User) -> None:
    client = browser(stranger)
    assert "Nothing is watched yet" in text_of(client, url("assets"))
    assert "Nothing waits for you" in text_of(client, url("incidents"))
    assert "No incident is like that" in text_of(client, url("incidents") + "?state=resolved")
    assert "Nobody was told anything yet" in text_of(client, url("deliveries"))
    asset = assets.create(owner=stranger, name="Bare")
    assert "No readings yet" in text_of(client, url("asset", asset.pk))
    assert "No sensors yet" in text_of(client, url("settings", asset.pk))
    assert "A detector learns from readings" in text_of(client, url("detectors", asset.pk))
    assert "No files yet" in text_of(client, url("data", asset.pk))
    asset.rules.all().delete()
    assert "No rules" in text_of(client, url("rules", asset.pk))


def test_an_asset_is_made_changed_and_deleted(owner: User, team: Team) -> None:
    client = browser(owner)
    made = client.post(url("create"), {"name": "Line 2", "tags": "hall, belt ,hall", "team": team.pk})
    asset = Asset.objects.get()
    assert made["Location"] == url("data", asset.pk)
    assert (asset.name, asset.tags, asset.team) == ("Line 2", ["hall", "belt"], team)
    client.post(url("change", asset.pk), {"name": "Line 3", "group_seconds": 60, "about": "Belt"})
    asset.refresh_from_db()
    assert (asset.name, asset.group_seconds, asset.about, asset.team) == ("Line 3", 60, "Belt", None)
    client.post(url("change", asset.pk), {"name": "", "group_seconds": 60})
    assert "Name: This field is required." in text_of(client, url("settings", asset.pk))
    client.post(url("delete", asset.pk))
    assert not Asset.objects.exists()
    assert AuditEntry.objects.filter(action="asset.delete", object_label="Line 3").exists()


def test_sensors_are_added_changed_and_deleted(asset: Asset, owner: User) -> None:
    client = browser(owner)
    values = {"key": "oil", "name": "Oil", "unit": "bar", "interval": "2.5", "keep_days": ""}
    client.post(url("add_sensor", asset.pk), values)
    sensor = asset.sensors.get()
    assert (sensor.name, sensor.unit, sensor.interval, sensor.keep_days) == ("Oil", "bar", 2.5, None)
    client.post(url("add_sensor", asset.pk), values)
    assert "another sensor of this asset has it" in text_of(client, url("settings", asset.pk))
    client.post(url("change_sensor", sensor.pk), {**values, "name": "Oil pressure", "keep_days": "30"})
    sensor.refresh_from_db()
    assert (sensor.name, sensor.keep_days) == ("Oil pressure", 30)
    client.post(url("delete_sensor", sensor.pk))
    assert not asset.sensors.exists()


def test_incidents_are_filtered(asset: Asset, detector: Detector, owner: User) -> None:
    found(asset, detector, state="resolved", severity="critical")
    mine = found(asset, detector, assignee=owner)
    client = browser(owner)

    def ids(query: str) -> list[UUID]:
        return [one.pk for one in client.get(url("incidents") + query).context["page"].object_list]

    assert ids("") == [mine.pk]
    assert len(ids("?state=all")) == 2
    assert ids("?state=all&mine=1") == [mine.pk]
    assert len(ids("?state=all&severity=critical")) == 1
    assert ids("?state=all&asset=" + str(UUID(int=1))) == []
    assert len(ids("?state=all&asset=nonsense&page=99")) == 2


def test_an_incident_says_why(incident: Incident, owner: User) -> None:
    page = text_of(browser(owner), url("incident", incident.pk))
    for said in ("Unusual values: Bearing", "Score 2.40", "threshold 1.20", "90 %", "86.2 °C", "72.0 °C"):
        assert said in page, said


def test_what_people_do_about_an_incident(incident: Incident, owner: User, member: User, stranger: User) -> None:
    client = browser(member)
    client.post(url("act", incident.pk), {"act": "acknowledge"})
    client.post(url("assign", incident.pk), {"to": owner.pk})
    client.post(url("comment", incident.pk), {"text": "Grease pump\nstood still"})
    incident.refresh_from_db()
    assert (incident.state, incident.assignee) == ("acknowledged", owner)
    page = text_of(client, url("incident", incident.pk))
    assert "Grease pump stood still" in page and "set it to: acknowledged" in page and "gave it to owner" in page
    client.post(url("assign", incident.pk), {"to": stranger.pk})
    client.post(url("comment", incident.pk), {"text": "  "})
    client.post(url("act", incident.pk), {"act": "delete"})
    incident.refresh_from_db()
    assert (incident.state, incident.assignee) == ("acknowledged", owner)
    assert incident.comments.filter(act=Comment.Act.SAID).count() == 1


def test_beside_the_charts_the_item_is_the_answer(incident: Incident, member: User) -> None:
    headers = {"HX-Request": "true"}
    values = {"act": "call_false", "number": "7"}
    answer = browser(member).post(url("act", incident.pk), values, headers=headers)
    item = answer.content.decode()
    assert answer.status_code == 200 and '<li class="incident"' in item
    assert 'data-number="7"' in item and "False alarm" in item and "Open again" in item
    values = {"act": "reopen", "next": "https://elsewhere.example.com/"}
    assert browser(member).post(url("act", incident.pk), values)["Location"] == url("incident", incident.pk)


def test_rules_are_made_changed_and_deleted(asset: Asset, detector: Detector, owner: User) -> None:
    client = browser(owner)
    values = {
        "name": "Hot", "on": "score", "detector": detector.pk, "severity": "critical", "for_seconds": "120",
        "clear_percent": "70", "emails": "a@example.com, b@example.com", "in_app": "1", "is_active": "1",
    }  # fmt: skip
    client.post(url("create_rule", asset.pk), values)
    rule = AlertRule.objects.get(name="Hot")
    assert (rule.detector, rule.severity, rule.for_seconds, rule.clear_ratio) == (detector, "critical", 120, 0.7)
    assert (rule.emails, rule.in_app, rule.tells_end) == (["a@example.com", "b@example.com"], True, False)
    page = text_of(client, url("rules", asset.pk))
    assert "for at least 2 min, over when below 70 % of it" in page
    assert "Told: everybody who sees it, 2 e-mail addresses" in page
    client.post(url("change_rule", rule.pk), {**values, "emails": "nobody"})
    assert "Enter a valid email address." in text_of(client, url("rules", asset.pk))
    client.post(url("change_rule", rule.pk), {**values, "emails": "", "is_active": ""})
    rule.refresh_from_db()
    assert (rule.emails, rule.is_active) == ([], False)
    client.post(url("delete_rule", rule.pk))
    assert not AlertRule.objects.filter(name="Hot").exists()


def test_silences_begin_and_end(asset: Asset, sensor: Sensor, member: User) -> None:
    client = browser(member)
    client.post(url("silence", asset.pk), {"sensor": sensor.pk, "severity": "warning", "hours": "8", "reason": "stop"})
    silence = Silence.objects.get()
    assert silence.ends_at - silence.begins_at == timedelta(hours=8)
    assert (silence.sensor, silence.severity, silence.created_by) == (sensor, "warning", member)
    assert "holds" in text_of(client, url("rules", asset.pk))
    client.post(url("end_silence", silence.pk))
    silence.refresh_from_db()
    assert silence.ends_at <= timezone.now()


def test_quiet_hours_are_set_all_at_once(asset: Asset, owner: User) -> None:
    client = browser(owner)
    values = {
        "row": ["1", "2", "x"], "time_zone": "Europe/Berlin",
        "quiet1-days": ["0", "4"], "quiet1-begins": "22:00", "quiet1-ends": "06:00", "quiet1-severity": "warning",
        "quiet2-begins": "12:00", "quiet2-ends": "13:00", "quiet2-severity": "info",
    }  # fmt: skip
    client.post(url("quiet_hours", asset.pk), values)
    rows = list(QuietHours.objects.values_list("days", "time_zone", "severity"))
    assert rows == [([0, 4], "Europe/Berlin", "warning")]
    client.post(url("quiet_hours", asset.pk), {**values, "time_zone": "Nowhere"})
    assert QuietHours.objects.get().time_zone == "Europe/Berlin"
    assert 'value="Europe/Berlin"' in client.get(url("rules", asset.pk)).content.decode()


def test_a_detector_is_fitted_put_to_work_and_paused(
    asset: Asset, detector: Detector, sensor: Sensor, put: Any, member: User
) -> None:
    put(sensor, [0, 1, 2], [1, 2, 3])
    client = browser(member)
    page = text_of(client, url("detectors", asset.pk))
    assert "v2" in page and "0.71" in page and "1.2 %" in page and "Use it" in page
    client.post(url("serve", detector.fits.get(number=2).pk))
    detector.refresh_from_db()
    assert detector.fit.number == 2
    assert "Roll back" in text_of(client, url("detectors", asset.pk))
    client.post(url("pause_detector", detector.pk))
    detector.refresh_from_db()
    assert detector.state == Detector.State.PAUSED
    values = {"kind": "auto", "begin": "2026-03-01T00:00", "end": "2026-03-02T00:00", "budget": "3 cent"}
    client.post(url("create_detector", asset.pk), {**values, "name": "One", "sensors": [sensor.pk]})
    made = Detector.objects.get(name="One")
    assert (list(made.sensors.all()), made.budget, made.per) == ([sensor], 3.0, "cent")
    assert made.fits.get().created_by == member
    client.post(url("fit_detector", detector.pk), {**values, "end": "2026-02-01T00:00"})
    assert "The beginning is before the end." in text_of(client, url("detectors", asset.pk))


def test_the_simulated_plant_is_made_stopped_and_started(owner: User) -> None:
    client = browser(owner)
    made = client.post(url("create_plant"))
    asset = Asset.objects.get()
    assert made["Location"] == url("asset", asset.pk)
    page = text_of(client, url("simulator", asset.pk))
    assert "The plant runs" in page and "Bearing temperature" in page and "Drift" in page
    client.post(url("stop_plant", asset.pk))
    assert "The plant stands still" in text_of(client, url("simulator", asset.pk))
    client.post(url("start_plant", asset.pk))
    asset.plant.refresh_from_db()
    assert asset.plant.is_running


def test_a_waiting_file_is_left(upload: Upload, member: User) -> None:
    answer = browser(member).post(url("upload_leave", upload.pk))
    assert answer["Location"] == url("data", upload.asset_id)
    upload.refresh_from_db()
    assert upload.state == Upload.State.CANCELLED


def test_chinese_pages(asset: Asset, incident: Incident, owner: User) -> None:
    plant.create(owner=owner)
    client = browser(owner)
    client.cookies["django_language"] = "zh-hans"
    assert "信号" in text_of(client, url("assets"))
    assert "确认" in text_of(client, url("asset", asset.pk))
