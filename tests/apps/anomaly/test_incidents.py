"""Scores become alarms, alarms incidents; what people say of them moves thresholds."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.anomaly import alarms, assets, incidents, scoring, storing, tasks, thresholds, watching
from apps.anomaly.models import AlertRule, Asset, Comment, Delivery, Detector, Finding, Incident, Sensor, Severity
from contracts import conformal
from tests.apps.anomaly.conftest import BEGIN, T0
from tests.apps.anomaly.watcher import Watcher
from tests.apps.anomaly.watcher import watching as watching_detector

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
Put = Callable[..., storing.Stored]


@pytest.fixture
def detector(sensor: Sensor) -> Detector:
    return watching_detector([sensor], scored_to=BEGIN, watches_from=BEGIN)


@pytest.fixture
def feed(put: Put, watcher: Watcher) -> Callable[..., None]:
    def feed(sensor: Sensor, times: list[float] | np.ndarray, values: list[float] | np.ndarray) -> None:
        put(sensor, times, values)
        scoring.send_fresh()

    return feed


def spans() -> list[tuple[float, float | None]]:
    rows = Incident.objects.order_by("began_at")
    return [(row.began_at.timestamp() - T0, row.ended_at and row.ended_at.timestamp() - T0) for row in rows]


def test_an_alarm_begins_above_the_threshold_and_ends_well_below(
    feed: Callable[..., None], sensor: Sensor, detector: Detector
) -> None:
    feed(sensor, [1, 2, 3], [1.9, 2.5, 1.7])
    assert spans() == [(2, None)]  # 1.7 is above four fifths of 2
    feed(sensor, [4, 5], [3.0, 1.5])
    assert spans() == [(2, 5)]
    finding = Finding.objects.get()
    assert (finding.peak, finding.threshold, finding.shares, finding.measured, finding.expected) == (
        3.0,
        2.0,
        [1.0],
        [3.0],
        [0.0],
    )
    assert Incident.objects.get().peak == 1.5
    assert (finding.last_at.timestamp() - T0, finding.peak_at.timestamp() - T0) == (4, 4)


def test_what_is_near_is_one_incident_and_what_is_far_another(
    feed: Callable[..., None], sensor: Sensor, detector: Detector
) -> None:
    feed(sensor, [1, 2, 200, 201, 600, 601], [5, 0, 5, 0, 5, 0])
    assert (spans(), Finding.objects.count()) == ([(1, 201), (600, 601)], 3)


def test_alarms_of_two_detectors_are_one_incident(
    feed: Callable[..., None], sensor: Sensor, other: Sensor, detector: Detector
) -> None:
    watching_detector([other], scored_to=BEGIN, watches_from=BEGIN)
    feed(sensor, [1], [5])
    feed(other, [20], [7])
    incident = Incident.objects.get()
    assert incident.findings.count() == 2
    feed(sensor, [21], [0])
    assert spans() == [(1, None)]
    feed(other, [22], [0])
    assert spans() == [(1, 22)]


def test_a_rule_waits_for_its_duration(feed: Callable[..., None], sensor: Sensor, detector: Detector) -> None:
    AlertRule.objects.filter(on="score").update(for_seconds=3)
    feed(sensor, [1, 2, 3, 4, 5], [5, 5, 1, 5, 5])
    assert spans() == []
    feed(sensor, [6, 7], [5, 5])
    assert spans() == [(4, None)]  # since when it has held


def test_a_graver_rule_makes_it_graver(
    feed: Callable[..., None], sensor: Sensor, detector: Detector, asset: Asset
) -> None:
    AlertRule.objects.create(asset=asset, name="Long", severity=Severity.CRITICAL, for_seconds=5)
    feed(sensor, [1, 3], [5, 5])
    assert Incident.objects.get().severity == "warning"
    feed(sensor, [7], [5])
    incident = Incident.objects.get()
    assert (incident.severity, incident.findings.count()) == ("critical", 1)
    events = Delivery.objects.filter(target=str(asset.owner_id)).order_by("created_at")
    assert list(events.values_list("event", "severity")) == [("opened", "warning"), ("graver", "critical")]


def test_rules_of_other_sensors_and_paused_ones_do_nothing(
    feed: Callable[..., None], sensor: Sensor, other: Sensor, detector: Detector
) -> None:
    AlertRule.objects.filter(on="score").update(sensor=other)
    feed(sensor, [1], [5])
    AlertRule.objects.filter(on="score").update(sensor=None, is_active=False)
    feed(sensor, [2], [5])
    assert spans() == []


def test_a_settled_incident_is_not_joined(
    feed: Callable[..., None], sensor: Sensor, detector: Detector, owner: User
) -> None:
    feed(sensor, [1, 2], [5, 0])
    incidents.resolve(incident=Incident.objects.get(), actor=owner)
    feed(sensor, [3, 4], [5, 0])
    assert len(spans()) == 2


def test_states_of_an_incident_and_who_changed_them(
    feed: Callable[..., None], sensor: Sensor, detector: Detector, member: User, stranger: User
) -> None:
    feed(sensor, [1, 2], [5, 0])
    incident = Incident.objects.get()
    assert incidents.acknowledge(incident=incident, actor=member)
    assert not incidents.acknowledge(incident=incident, actor=member)
    incidents.assign(incident=incident, to=member, actor=member)
    incidents.comment(incident=incident, author=member, text=" grease pump ")
    with pytest.raises(ValueError, match="assignee: may not"):
        incidents.assign(incident=incident, to=stranger, actor=member)
    with pytest.raises(ValueError, match="text: "):
        incidents.comment(incident=incident, author=member, text="  ")
    assert incidents.resolve(incident=incident, actor=member)
    assert incidents.reopen(incident=incident, actor=member)
    assert list(Comment.objects.values_list("act", "text")) == [
        ("state", "acknowledged"), ("assigned", "member"), ("said", "grease pump"), ("state", "resolved"),
        ("state", "open"),
    ]  # fmt: skip
    assert (incident.state, incident.changed_by, incident.assignee) == ("open", member, member)


def test_a_false_alarm_raises_the_threshold_and_a_true_one_does_not(
    feed: Callable[..., None], sensor: Sensor, detector: Detector, owner: User
) -> None:
    """The calibration has 200 hours with one rise to 1.99: at one alarm in four days, two may be above."""
    Detector.objects.update(budget=0.25, per="day")
    detector.refresh_from_db()
    before = thresholds.by_budget(detector)
    feed(sensor, [1, 2], [5, 0])
    incident = Incident.objects.get()
    incidents.call_false(incident=incident, actor=owner)
    detector.refresh_from_db()
    assert detector.calibration["peaks"][-1] == 5.0
    assert detector.threshold == thresholds.by_budget(detector) >= before
    incidents.reopen(incident=incident, actor=owner)
    incidents.acknowledge(incident=incident, actor=owner)
    detector.refresh_from_db()
    assert (detector.calibration["peaks"][-1], detector.threshold) == (1.99, before)


def test_a_threshold_by_hand_is_left_alone(
    feed: Callable[..., None], sensor: Sensor, detector: Detector, owner: User
) -> None:
    Detector.objects.update(is_by_hand=True)
    feed(sensor, [1, 2], [5, 0])
    incidents.call_false(incident=Incident.objects.get(), actor=owner)
    detector.refresh_from_db()
    assert (detector.threshold, detector.calibration["scores"][-1]) == (2.0, 5.0)


def test_one_looks_after_detectors_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look() -> None:
        looks.append("begun")
        if len(looks) == 1:
            tasks.watch()  # as another process would, meanwhile
        looks.append("over")

    monkeypatch.setattr(watching, "watch", look)
    tasks.watch()
    tasks.watch()
    assert looks == ["begun", "over", "begun", "over"]


def renewed(detector: Detector, now: datetime = BEGIN) -> Detector:
    """As the watch leaves it when it is due."""
    Detector.objects.update(renews_at=now)
    watching.watch(now)
    detector.refresh_from_db()
    return detector


@pytest.mark.parametrize("by_hand", [False, True])
def test_the_budget_follows_the_last_steps(
    feed: Callable[..., None], sensor: Sensor, detector: Detector, by_hand: bool
) -> None:
    """The calibration has 200 steps: the last 200 take its place, whatever was before; in an hour again."""
    Detector.objects.update(budget=5, per="cent", is_by_hand=by_hand)
    drifted = np.random.default_rng(0).uniform(10, 12, 400)
    feed(sensor, np.arange(1, 401), drifted)
    Finding.objects.update(began_at=BEGIN - timedelta(days=1))  # it goes on for so long that it is how things are
    detector = renewed(detector)
    wanted = float(np.sort(drifted[-200:])[191 - 1])  # 95 per cent of 201, rounded up
    assert thresholds.suggestion(detector) == pytest.approx(wanted)
    assert detector.threshold == (2.0 if by_hand else pytest.approx(wanted))
    assert detector.renews_at == BEGIN + timedelta(hours=1)
    watching.watch(BEGIN + timedelta(minutes=59))
    assert Detector.objects.get().renews_at == detector.renews_at


def test_a_calibration_gives_way_to_new_steps_as_they_come(
    feed: Callable[..., None], sensor: Sensor, detector: Detector
) -> None:
    feed(sensor, np.arange(1, 51), np.full(50, 0.5))
    calibration = thresholds.calibration_of(renewed(detector))
    assert calibration.total == pytest.approx(200)
    assert (
        sum(weight for score, weight in zip(calibration.scores, calibration.weights, strict=True) if score == 0.5) > 50
    )
    assert conformal.rate_above(calibration, 0.995) == pytest.approx(0.75 * 0.5)  # half of what stays of the old ones


@pytest.mark.parametrize(("state", "counts"), [("open", False), ("acknowledged", False), ("false_alarm", True)])
def test_what_goes_on_and_nobody_has_judged_is_not_normal_for_a_day(
    feed: Callable[..., None], sensor: Sensor, detector: Detector, owner: User, state: str, counts: bool
) -> None:
    feed(sensor, [1, 2, 3], [0.1, 5, 5])
    incident = Incident.objects.get()
    if state != "open":
        {"acknowledged": incidents.acknowledge, "false_alarm": incidents.call_false}[state](
            incident=incident, actor=owner
        )
    renewed(detector, BEGIN + timedelta(hours=23))
    assert (5.0 in detector.calibration["scores"]) == counts
    renewed(detector, BEGIN + timedelta(hours=25))
    assert (5.0 in detector.calibration["scores"]) == (state != "acknowledged")


def _slowly(
    times: np.ndarray, scores: np.ndarray, threshold: float, terms: thresholds.Terms
) -> list[tuple[float, float]]:
    found: list[list[float]] = []
    since = last = None
    for at, score in zip(times, scores, strict=True):
        if score > threshold:
            since = at if since is None else since
        elif score < threshold * terms.clear_ratio:
            if since is not None and last - since >= terms.for_seconds:
                found.append([since, last])
            since = None
        last = at
    if since is not None and last - since >= terms.for_seconds:
        found.append([since, last])
    merged: list[list[float]] = []
    for begin, end in found:
        if merged and begin - merged[-1][1] <= terms.group_seconds:
            merged[-1][1] = end
        else:
            merged.append([begin, end])
    return [(begin, end) for begin, end in merged]


@pytest.mark.parametrize("seed", range(8))
def test_alarms_on_history_are_those_of_going_through_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    times = np.cumsum(random.integers(1, 5, 400)).astype(float)
    scores = np.abs(np.convolve(random.normal(size=400), np.ones(5), "same"))
    for _ in range(20):
        terms = thresholds.Terms(
            float(random.integers(0, 10)), float(random.uniform(0.3, 1)), float(random.integers(0, 40))
        )
        threshold = float(random.uniform(0, 6))
        begins, ends = thresholds.alarms(times, scores, threshold, terms)
        assert list(zip(begins.tolist(), ends.tolist(), strict=True)) == _slowly(times, scores, threshold, terms)


def test_thresholds_on_history_count_what_they_would_have_raised(
    feed: Callable[..., None], sensor: Sensor, detector: Detector, owner: User
) -> None:
    values = np.zeros(3000)
    values[[500, 1500, 2500]] = [3.0, 5.0, 9.0]
    feed(sensor, np.arange(1, 3001), values)
    false = Incident.objects.order_by("began_at")[0]
    incidents.call_false(incident=false, actor=owner)
    detector.refresh_from_db()
    found = thresholds.on_history(detector, 30)
    counts = dict(zip(found["thresholds"], found["alarms"], strict=True))
    real = dict(zip(found["thresholds"], found["real"], strict=True))
    assert found["thresholds"] == sorted(found["thresholds"])
    low, high = min(one for one in counts if one > 1), max(counts)
    assert (counts[low], real[low], counts[high], real[high]) == (3, 2, 0, 0)
    assert {x: n for x, n in counts.items() if x > 0} == {x: sum(v > x for v in (3, 5, 9)) for x in counts if x > 0}


# -- things that stand still


def watch_at(seconds: float) -> None:
    watching.watch(now=timezone.now() + timedelta(seconds=seconds))


def test_a_sensor_that_stops_is_an_alarm_and_ends_it_by_speaking(put: Put, sensor: Sensor, asset: Asset) -> None:
    now = timezone.now().timestamp() - T0
    put(sensor, [now], [1.0])
    watch_at(30)
    assert Incident.objects.count() == 0  # overdue, and not yet for a minute
    watch_at(70)
    finding = Finding.objects.get()
    assert (finding.kind, finding.sensor, finding.ended_at, finding.incident.severity) == (
        "stopped",
        sensor,
        None,
        "warning",
    )
    watch_at(200)
    assert Finding.objects.count() == 1
    put(sensor, [now + 1], [1.0])
    watch_at(1)
    finding.refresh_from_db()
    assert finding.ended_at is not None and finding.incident.__class__.objects.get().ended_at is not None


def test_a_file_of_old_readings_is_no_sign_of_life(put: Put, sensor: Sensor) -> None:
    put(sensor, [0, 1], [1.0, 1.0])
    watch_at(3600)
    assert Incident.objects.count() == 0


def test_a_detector_that_does_not_keep_up_is_an_alarm(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    watcher.error = "The artifact is damaged."
    now = timezone.now().timestamp() - T0
    AlertRule.objects.filter(on="stopped").update(is_active=False)
    put(sensor, [now], [1.0])
    scoring.send_fresh()
    watch_at(100)
    assert Incident.objects.count() == 0
    watch_at(150)
    assert Finding.objects.get().kind == "dead"
    watcher.error = ""
    watch_at(160)
    watch_at(161)
    assert Finding.objects.get().ended_at is not None


def test_findings_of_what_was_deleted_end(
    feed: Callable[..., None], sensor: Sensor, detector: Detector, owner: User
) -> None:
    feed(sensor, [1], [5])
    assets.delete_sensor(sensor=sensor, actor=owner)
    watching.watch()
    incident = Incident.objects.get()
    assert (incident.ended_at is not None, incident.findings.count()) == (True, 1)


def test_drift_is_the_share_above_the_median(
    feed: Callable[..., None], sensor: Sensor, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_LEAST_STEPS", 10)
    AlertRule.objects.update(is_active=False)
    now = timezone.now().timestamp() - T0
    Detector.objects.update(
        scored_to=timezone.now() - timedelta(hours=1), watches_from=timezone.now() - timedelta(hours=1)
    )
    feed(sensor, np.arange(now - 100, now - 80), np.r_[np.full(15, 1.5), np.full(5, 0.5)])
    watching.watch()
    detector.refresh_from_db()
    assert detector.drift == 0.75


def test_steps_are_judged_only_when_there_is_a_threshold(sensor: Sensor, detector: Detector) -> None:
    detector.threshold = None
    alarms.judge([(detector, [alarms.Step(BEGIN, 100.0)], None)])
    assert Incident.objects.count() == 0
