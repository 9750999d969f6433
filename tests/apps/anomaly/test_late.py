"""Readings that come behind what has been scored."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection

from apps.anomaly import asking, fitting, late, scored, scoring, storing, telling
from apps.anomaly.models import AlertRule, Detector, Finding, Score, Sensor
from tests.apps.anomaly.conftest import BEGIN, T0
from tests.apps.anomaly.watcher import Watcher, watching

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
Put = Callable[..., storing.Stored]
_SUMS = """
SELECT width, extract(epoch FROM at) - %s, count, total, low, extract(epoch FROM low_at) - %s, high,
  extract(epoch FROM high_at) - %s
FROM anomaly_score_bucket WHERE detector_id = %s ORDER BY width, at
"""


@pytest.fixture
def detector(sensor: Sensor) -> Detector:
    return watching([sensor], scored_to=BEGIN, watches_from=BEGIN)


def feed(put: Put, sensor: Sensor, times: list[float], values: list[float]) -> None:
    put(sensor, times, values)
    scoring.send_fresh()


def scores(detector: Detector) -> list[tuple[float, float]]:
    rows = Score.objects.filter(detector_id=detector.pk).order_by("at")
    return [(row.at.timestamp() - T0, row.value) for row in rows]


def sums(detector: Detector) -> list[tuple[float, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, [T0, T0, T0, detector.pk])
        return [tuple(float(one) for one in row) for row in cursor.fetchall()]


def alarms() -> list[tuple[float, float | None]]:
    rows = Finding.objects.order_by("began_at")
    return [(row.began_at.timestamp() - T0, row.ended_at and row.ended_at.timestamp() - T0) for row in rows]


def test_a_late_reading_is_scored_with_those_behind_it(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    feed(put, sensor, [58, 59, 61, 62], [0.1, 0.2, 0.3, 0.4])
    feed(put, sensor, [60], [1.5])
    assert len(watcher.seen) == 1  # the watch takes it back, not each reading
    scoring.sweep()
    assert scores(detector) == [(58, 0.1), (59, 0.2), (60, 1.5), (61, 0.3), (62, 0.4)]
    (item,) = watcher.seen[-1]
    assert (item["state"], item["from_time"], item["times"]) == ("", T0 + 59.5, [T0 + n for n in (58, 59, 60, 61, 62)])
    assert sums(detector) == [
        (60, 0, 2, pytest.approx(0.3), 0.1, 58, 0.2, 59),
        (60, 60, 3, pytest.approx(2.2), 0.3, 61, 1.5, 60),
        (3600, 0, 5, pytest.approx(2.5), 0.1, 58, 1.5, 60),
    ]
    detector.refresh_from_db()
    assert (detector.scored_to, detector.late_from, detector.again_to) == (BEGIN + timedelta(seconds=62), None, None)
    feed(put, sensor, [63], [0.5])
    assert (watcher.seen[-1][0]["times"], scores(detector)[-1]) == ([T0 + 63], (63, 0.5))


def test_a_score_that_was_wrong_for_want_of_a_sensor_is_replaced(
    put: Put, sensor: Sensor, other: Sensor, watcher: Watcher
) -> None:
    """The first sensor was silent: without it there was no score."""
    both = watching([sensor, other], scored_to=BEGIN, watches_from=BEGIN)
    put(sensor, [1], [0.1])
    feed(put, other, list(range(1, 21)), [0.0] * 20)
    assert scores(both) == [(1, 0.1)]
    feed(put, sensor, list(range(2, 21)), [0.5] * 19)
    scoring.sweep()
    assert scores(both) == [(1, 0.1), *((at, 0.5) for at in range(2, 21))]


def test_a_late_reading_raises_an_alarm_and_ends_it(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    feed(put, sensor, [1, 2, 5, 6], [0, 0, 0, 0])
    feed(put, sensor, [3, 4], [5.0, 6.0])
    scoring.sweep()
    assert alarms() == [(3, 5)]
    feed(put, sensor, [7], [0])
    assert alarms() == [(3, 5)]


def test_an_alarm_is_not_raised_again_by_what_is_scored_again(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    feed(put, sensor, [1, 3, 4, 5], [0, 5, 5, 0])
    feed(put, sensor, [2], [0.1])
    scoring.sweep()
    assert (alarms(), scores(detector)) == ([(3, 5)], [(1, 0), (2, 0.1), (3, 5), (4, 5), (5, 0)])


def test_an_alarm_that_lasts_goes_on(put: Put, sensor: Sensor, detector: Detector, watcher: Watcher) -> None:
    feed(put, sensor, [1, 3, 4], [0, 5, 5])
    feed(put, sensor, [2], [0])
    scoring.sweep()
    assert alarms() == [(3, None)]
    feed(put, sensor, [5], [0])
    assert alarms() == [(3, 5)]


def test_a_rule_that_waits_counts_anew_from_the_late_reading(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    AlertRule.objects.filter(on=AlertRule.On.SCORE).update(for_seconds=4)
    feed(put, sensor, [1, 2, 4], [5, 5, 5])
    feed(put, sensor, [3], [0])
    scoring.sweep()
    feed(put, sensor, [5, 6], [5, 5])
    assert alarms() == []  # it was calm at 3: the four seconds began at 4
    feed(put, sensor, [8], [5])
    assert alarms() == [(4, None)]


def test_what_is_later_than_that_is_drawn_and_not_scored(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "STEPS", 5)
    feed(put, sensor, [1, *np.arange(10, 21)], [0] * 12)
    feed(put, sensor, [14], [5.0])  # is there already
    feed(put, sensor, [5], [5.0])
    scoring.sweep()
    detector.refresh_from_db()
    assert (len(watcher.seen), detector.late_from, alarms()) == (1, None, [])


def test_what_came_before_it_watched_is_not_scored(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    feed(put, sensor, [1], [0])
    put(sensor, [-5], [5.0])
    scoring.sweep()
    assert (len(watcher.seen), alarms()) == (1, [])


def test_what_comes_while_a_request_is_under_way_is_late(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    watcher.holds = True
    feed(put, sensor, [1, 3], [0, 0])
    put(sensor, [2, 4], [1.0, 1.0])
    detector.refresh_from_db()
    assert detector.late_from == BEGIN + timedelta(seconds=2)
    scoring.sweep()
    assert len(watcher.seen) == 1
    watcher.holds = False
    (request,) = watcher.requests
    watcher.answer(request)
    scored.take_in(request_id=request.request_id, transcript=scoring.requests.transcript(request.request_id))
    scoring.sweep()
    assert scores(detector) == [(1, 0), (2, 1), (3, 0), (4, 1)]


def test_what_comes_while_a_request_is_put_together_is_late(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its readings were read before this one was there, and how far it goes is not known yet."""
    read = asking.items_of

    def and_then(detectors: list[Detector]) -> object:
        found = list(read(detectors))
        monkeypatch.setattr(asking, "items_of", read)
        put(sensor, [2], [1.0])
        return found

    monkeypatch.setattr(asking, "items_of", and_then)
    feed(put, sensor, [1, 3], [0, 0])
    assert scores(detector) == [(1, 0), (3, 0)]
    scoring.sweep()
    assert scores(detector) == [(1, 0), (2, 1), (3, 0)]


def test_a_version_that_begins_now_has_nothing_late(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher
) -> None:
    feed(put, sensor, [1, 3], [0, 0])
    put(sensor, [2], [1.0])
    fitting.begin_now(detector)
    scoring.sweep()
    assert (detector.late_from, len(watcher.seen)) == (None, 1)


def test_all_that_is_scored_again_is_told(
    put: Put, sensor: Sensor, detector: Detector, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, object]] = []
    feed(put, sensor, [1, 2, *range(4, 101)], [0.0] * 99)
    monkeypatch.setattr(telling, "tell_all", lambda messages: told.extend(data for _, data in messages))
    put(sensor, [3], [1.0])
    scoring.sweep()
    (message,) = [one for one in told if one["type"] == "scores"]
    assert [at - T0 for at, _ in message["scores"]] == list(range(3, 101))  # type: ignore[attr-defined]
