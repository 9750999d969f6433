"""Readings on their way through a detector: each scored once, whatever ends in between."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from apps.anomaly import alarms, asking, bands, detectors, scored, scoring, storing, telling
from apps.anomaly.models import Detector, Incident, Score, ScoreBucket, Sensor
from apps.serving import connection
from apps.serving.services import NoWorker
from contracts import names
from tests.apps.anomaly.conftest import BEGIN, T0
from tests.apps.anomaly.watcher import Watcher, watching

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
Put = Callable[..., storing.Stored]


def scores(detector: Detector) -> list[tuple[float, float]]:
    rows = Score.objects.filter(detector_id=detector.pk).order_by("at")
    return [(row.at.timestamp() - T0, row.value) for row in rows]


@pytest.fixture
def detector(sensor: Sensor) -> Detector:
    return watching([sensor], scored_to=BEGIN, watches_from=BEGIN)


def test_what_comes_is_scored_and_the_detector_moves_on(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    put(sensor, [1, 2], [0.5, -0.25])
    scoring.send_fresh()
    assert scores(detector) == [(1, 0.5), (2, 0.25)]
    detector.refresh_from_db()
    assert (detector.scored_to, detector.request_id, detector.spread) == (BEGIN + timedelta(seconds=2), "", [0.5])
    assert Score.objects.first().expected == [0.0]
    assert ScoreBucket.objects.get(width=3600).count == 2
    put(sensor, [3], [1.0])
    scoring.send_fresh()
    (item,) = watcher.seen[-1]
    assert (item["times"], item["state"], item["from_time"]) == ([T0 + 3], "2", 0.0)
    assert scores(detector)[-1] == (3, 1.0)


def test_who_looks_is_told_the_scores_with_their_bands(
    put: Put, sensor: Sensor, other: Sensor, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = watching([sensor, other], scored_to=BEGIN, watches_from=BEGIN)
    told: list[dict[str, Any]] = []
    put(sensor, [1, 2], [0.5, -0.25])
    put(other, [1, 2], [9.0, 9.0])
    monkeypatch.setattr(telling, "tell_all", lambda messages: told.extend(data for _, data in messages))
    scoring.send_fresh()
    band = {"times": [T0 + 1, T0 + 2], "low": [-0.5, -0.5], "expected": [0.0, 0.0], "high": [0.5, 0.5]}
    assert told == [{
        "type": "scores", "detector": both.pk, "scores": [[T0 + 1, 0.5], [T0 + 2, 0.25]],
        "bands": [{"sensor": sensor.pk, **band}, {"sensor": other.pk, **band}],
    }]  # fmt: skip


def test_of_many_scores_the_newest_are_told_and_of_their_bands_what_is_not_too_much(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []
    put(sensor, np.arange(1, 101), np.zeros(100))
    monkeypatch.setattr(telling, "tell_all", lambda messages: told.extend(data for _, data in messages))
    monkeypatch.setattr(bands, "_MOST_LIVE", 20)
    scoring.send_fresh()
    (message,) = told
    assert [at - T0 for at, _ in message["scores"]] == list(range(51, 101))
    assert [at - T0 for at in message["bands"][0]["times"]] == list(range(81, 101))


def test_nothing_is_asked_while_nothing_is_new(put: Put, sensor: Sensor, detector: Detector, watcher: Watcher) -> None:
    put(sensor, [1], [0.5])
    scoring.send_fresh()
    put(sensor, [1], [0.5])  # it is there already
    scoring.send_fresh()
    scoring.sweep()
    assert len(watcher.seen) == 1


def test_a_lost_state_is_made_again_from_the_readings_before(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    put(sensor, np.arange(1, 21), np.zeros(20))
    scoring.send_fresh()
    connection.client().delete(names.detector_state_key(detector.pk))
    put(sensor, [21], [1.5])
    scoring.send_fresh()
    (item,) = watcher.seen[-1]
    assert (item["state"], item["times"], item["from_time"]) == ("", [T0 + n for n in range(15, 22)], T0 + 20.5)
    assert scores(detector)[-2:] == [(20, 0.0), (21, 1.5)]


def test_a_state_of_another_reading_is_not_used(put: Put, sensor: Sensor, detector: Detector, watcher: Watcher) -> None:
    put(sensor, [1], [0.5])
    scoring.send_fresh()
    connection.client().hset(names.detector_state_key(detector.pk), "to", "2026-01-01T00:00:00+00:00")
    put(sensor, [2], [0.5])
    scoring.send_fresh()
    assert watcher.seen[-1][0]["state"] == ""


def test_one_request_at_a_time_and_a_lost_one_is_given_up(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    watcher.holds = True
    put(sensor, [1], [0.5])
    scoring.send_fresh()
    put(sensor, [2], [0.5])
    scoring.send_fresh()
    assert len(watcher.seen) == 1
    scoring.sweep()
    assert len(watcher.seen) == 1  # it is under way
    watcher.holds = False
    Detector.objects.update(sent_at=timezone.now() - timedelta(minutes=1))
    scoring.sweep()
    assert (len(watcher.seen), scores(detector)) == (2, [(1, 0.5), (2, 0.5)])


def test_an_answer_twice_or_late_is_taken_in_once(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    watcher.holds = True
    put(sensor, [1, 2], [5.0, 6.0])
    scoring.send_fresh()
    (request,) = watcher.requests
    watcher.answer(request)
    for _ in range(2):
        scored.take_in(request_id=request.request_id, transcript=scoring.requests.transcript(request.request_id))
    assert (scores(detector), Incident.objects.count()) == ([(1, 5.0), (2, 6.0)], 1)


def test_an_error_is_told_and_the_readings_wait(put: Put, sensor: Sensor, detector: Detector, watcher: Watcher) -> None:
    watcher.error = "The artifact is damaged."
    put(sensor, [1], [0.5])
    scoring.send_fresh()
    detector.refresh_from_db()
    assert (detector.problem, detector.scored_to, detector.request_id) == ("The artifact is damaged.", BEGIN, "")
    watcher.error = ""
    scoring.sweep()
    detector.refresh_from_db()
    assert (detector.problem, scores(detector)) == ("", [(1, 0.5)])


def test_without_a_worker_it_says_why(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(name: str, task: str) -> None:
        raise NoWorker("No worker is ready to answer.")

    monkeypatch.setattr(scoring.serving, "route", away)
    put(sensor, [1], [0.5])
    scoring.send_fresh()
    detector.refresh_from_db()
    assert (detector.problem, detector.request_id) == ("No worker is ready to answer.", "")


def test_sensors_of_one_detector_wait_for_each_other(put: Put, sensor: Sensor, other: Sensor, watcher: Watcher) -> None:
    both = watching([sensor, other], scored_to=BEGIN, watches_from=BEGIN)
    put(sensor, [1, 2, 3], [0.1, 0.2, 0.3])
    put(other, [1, 2], [9.0, 9.0])
    scoring.send_fresh()
    assert [at for at, _ in scores(both)] == [1, 2]
    put(sensor, np.arange(4, 20), np.ones(16))  # the other one is silent: it is not waited for
    scoring.send_fresh()
    assert [at for at, _ in scores(both)] == list(range(1, 18))
    assert watcher.seen[-1][0]["values"][0] == [0.3, None]


def test_detectors_of_one_owner_go_together(put: Put, sensor: Sensor, other: Sensor, watcher: Watcher) -> None:
    found = [watching([one], scored_to=BEGIN, watches_from=BEGIN) for one in (sensor, other)]
    for one in (sensor, other):
        put(one, [1], [one.pk / 1000])
    scoring.send_fresh()
    assert [len(items) for items in watcher.seen] == [2]
    assert [scores(one) for one in found] == [[(1, sensor.pk / 1000)], [(1, other.pk / 1000)]]


def test_a_detector_that_was_deleted_meanwhile_moves_no_other(
    put: Put, sensor: Sensor, other: Sensor, watcher: Watcher
) -> None:
    first, second = (watching([one], scored_to=BEGIN, watches_from=BEGIN) for one in (sensor, other))
    watcher.holds = True
    put(sensor, [1], [0.1])
    put(other, [1], [0.2])
    scoring.send_fresh()
    detectors.delete(detector=first, actor=None)
    (request,) = watcher.requests
    watcher.answer(request)
    scored.take_in(request_id=request.request_id, transcript=scoring.requests.transcript(request.request_id))
    assert scores(second) == [(1, 0.2)]


def test_a_pause_raises_no_alarm_afterwards(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher, django_capture_on_commit_callbacks: Any
) -> None:
    assert detectors.pause(detector=detector)
    put(sensor, [1], [50.0])
    scoring.send_fresh()
    assert watcher.seen == []
    with django_capture_on_commit_callbacks(execute=True):
        assert detectors.resume(detector=detector)
    put(sensor, [2], [0.5])
    scoring.send_fresh()
    assert (scores(detector), Incident.objects.count()) == ([(1, 50.0), (2, 0.5)], 0)


def test_a_long_wait_is_scored_in_parts(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST_ROWS", 100)
    put(sensor, np.arange(1, 251), np.zeros(250))
    for _ in range(4):
        scoring.send_fresh()
    assert ([len(items[0]["times"]) for items in watcher.seen], len(scores(detector))) == ([100, 100, 50], 250)


def test_hundreds_cost_as_many_queries_as_one(
    put: Put, sensor: Sensor, watcher: Watcher, django_assert_max_num_queries: Any
) -> None:
    found = [watching([sensor], scored_to=BEGIN, watches_from=BEGIN) for _ in range(40)]
    put(sensor, [1], [0.5])
    scoring.send_fresh()  # nothing is remembered yet: what was scored last is looked for one by one
    put(sensor, [2, 3], [0.25, 0.75])
    with django_assert_max_num_queries(40):
        scoring.send_fresh()
    assert [scores(one) for one in found] == [[(1, 0.5), (2, 0.25), (3, 0.75)]] * 40


def test_one_that_cannot_be_stored_keeps_none_of_the_others(
    put: Put, sensor: Sensor, other: Sensor, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (watching([one], scored_to=BEGIN, watches_from=BEGIN) for one in (sensor, other))
    judge = alarms.judge

    def fails(watched: Any) -> None:
        if any(detector.pk == first.pk for detector, _, _ in watched):
            raise ValueError("broken")
        judge(watched)

    monkeypatch.setattr(alarms, "judge", fails)
    put(sensor, [1], [0.1])
    put(other, [1], [5.0])
    scoring.send_fresh()
    assert (scores(first), scores(second), Incident.objects.count()) == ([], [(1, 5.0)], 1)
