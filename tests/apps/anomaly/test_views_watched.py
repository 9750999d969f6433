"""Addresses with JSON of what was found."""

from collections.abc import Callable

import numpy as np
import pytest

from apps.accounts.models import User
from apps.anomaly import incidents, scoring, storing
from apps.anomaly.models import Detector, Incident, Sensor
from apps.jobs.models import Job
from tests.apps.anomaly.conftest import BEGIN, T0
from tests.apps.anomaly.test_views_readings import ask, people, statuses  # noqa: F401  fixture
from tests.apps.anomaly.watcher import Watcher, watching

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
People = list[User]


@pytest.fixture
def detector(sensor: Sensor, other: Sensor, put: Callable[..., storing.Stored], watcher: Watcher) -> Detector:
    """Has seen 100 steps of two sensors, with an alarm from 50 to 52."""
    found = watching([sensor, other], scored_to=BEGIN, watches_from=BEGIN)
    values = np.zeros(100)
    values[[49, 50]] = [5.0, 3.0]
    put(sensor, np.arange(1, 101), values)
    put(other, np.arange(1, 101), values + 1)
    scoring.send_fresh()
    found.refresh_from_db()
    return found


def test_scores_come_with_what_was_expected(people: People, detector: Detector) -> None:  # noqa: F811
    assert statuses(people, "scores", detector.pk) == [200, 200, 200, 404]
    found = ask(people[2], "scores", detector.pk, {"begin": T0 + 49, "end": T0 + 52})[1]
    assert (found["detector"], found["threshold"], found["level"]) == (detector.pk, 2.0, 0)
    assert (found["times"], found["scores"]) == ([T0 + n for n in (49, 50, 51, 52)], [0.0, 5.0, 3.0, 0.0])
    assert [one["sensor"] for one in found["bands"]] == detector.columns
    assert found["bands"][0] == {"sensor": detector.columns[0], "times": found["times"], "low": [-0.5] * 4,
                                 "expected": [0.0] * 4, "high": [0.5] * 4}  # fmt: skip


def test_thresholds_are_tried_by_all_and_set_by_who_works(people: People, detector: Detector) -> None:  # noqa: F811
    assert statuses(people, "thresholds", detector.pk) == [200, 200, 200, 404]
    found = ask(people[2], "thresholds", detector.pk, {"days": 7})[1]
    assert (found["days"], found["threshold"], found["end"]) == (7, 2.0, T0 + 100)
    assert dict(zip(found["thresholds"], found["alarms"], strict=True))[2.0] == 1
    assert ask(people[0], "thresholds", detector.pk, {"days": 0})[0] == 400
    by_hand = {"threshold": "4.5"}
    assert statuses(people, "set_threshold", detector.pk, by_hand, posts=True) == [200, 200, 404, 404]
    said = ask(people[2], "detector", detector.pk)[1]
    assert (said["threshold"], said["is_by_hand"], said["sensors"]) == (4.5, True, detector.columns)
    said = ask(people[1], "set_threshold", detector.pk, {"budget": "5", "per": "cent"}, posts=True)[1]
    assert (said["threshold"], said["is_by_hand"], said["budget"], said["per"]) == (1.9, False, 5.0, "cent")
    for wrong in (
        {},
        {"threshold": "x"},
        {"threshold": "-1"},
        {"budget": "0", "per": "day"},
        {"budget": "1", "per": "y"},
    ):
        assert ask(people[0], "set_threshold", detector.pk, wrong, posts=True)[0] == 400


def test_a_detector_and_its_fit(people: People, detector: Detector) -> None:  # noqa: F811
    assert statuses(people, "detector", detector.pk) == [200, 200, 200, 404]
    assert statuses(people, "fit", detector.fit_id) == [200, 200, 200, 404]
    found = ask(people[0], "fit", detector.fit_id)[1]
    assert (found["is_serving"], found["state"], found["fraction"], found["report"]["detector"]) == (
        True,
        "ready",
        1.0,
        "pca",
    )
    assert "calibration" not in found["report"]
    assert Job.objects.count() == 0


def test_incidents_as_spans_and_lists(people: People, detector: Detector) -> None:  # noqa: F811
    asset = detector.asset_id
    incident = Incident.objects.get()
    assert statuses(people, "spans", asset) == [200, 200, 200, 404]
    (span,) = ask(people[2], "spans", asset, {"begin": T0 + 52, "end": T0 + 60})[1]["spans"]
    assert span == {
        "id": str(incident.pk), "begin": T0 + 50, "end": T0 + 52, "state": "open", "severity": "warning", "peak": 2.5,
        "sensors": detector.columns, "detectors": [detector.pk],
    }  # fmt: skip
    assert ask(people[2], "spans", asset, {"begin": T0 + 53, "end": T0 + 60})[1] == {"spans": []}
    assert statuses(people, "incident_list", asset) == [200, 200, 200, 404]
    found = ask(people[2], "incident_list", asset, {"state": "open", "sensor": detector.columns[0]})[1]
    assert ([one["id"] for one in found["incidents"]], found["next"]) == ([str(incident.pk)], None)
    assert found["incidents"][0]["title"] == "unusual values: Bearing"
    assert ask(people[2], "incident_list", asset, {"state": "resolved"})[1]["incidents"] == []
    assert ask(people[2], "incident_list", asset, {"state": "lost"})[0] == 400


def test_incidents_come_in_pages(people: People, detector: Detector) -> None:  # noqa: F811
    from datetime import timedelta

    for n in range(60):
        at = BEGIN + timedelta(hours=n + 1)
        Incident.objects.create(asset=detector.asset, began_at=at, last_at=at, ended_at=at)
    first = ask(people[0], "incident_list", detector.asset_id)[1]
    second = ask(people[0], "incident_list", detector.asset_id, {"after": first["next"]})[1]
    ids = [one["id"] for one in (*first["incidents"], *second["incidents"])]
    assert (len(first["incidents"]), len(ids), len(set(ids)), second["next"]) == (50, 61, 61, None)


def test_an_incident_with_all(people: People, detector: Detector) -> None:  # noqa: F811
    incident = Incident.objects.get()
    incidents.acknowledge(incident=incident, actor=people[1])
    assert statuses(people, "incident_data", incident.pk) == [200, 200, 200, 404]
    found = ask(people[2], "incident_data", incident.pk)[1]
    (finding,) = found["findings"]
    assert (finding["kind"], finding["peak"], finding["threshold"], finding["ended_at"]) == ("score", 5.0, 2.0, T0 + 52)
    assert finding["shares"][0] == {"sensor": detector.columns[0], "name": "Bearing", "share": 1.0, "measured": 5.0,
                                    "expected": 0.0}  # fmt: skip
    assert [(one["author"], one["act"], one["text"]) for one in found["comments"]] == [
        ("member", "state", "acknowledged")
    ]


def test_live_and_silences_are_for_who_sees_it(people: People, detector: Detector) -> None:  # noqa: F811
    assert statuses(people, "live", detector.asset_id) == [200, 200, 200, 404]
    found = ask(people[2], "live", detector.asset_id)[1]
    assert (found["incidents"], found["detectors"][str(detector.pk)]) == (
        1,
        {"score": 0.0, "at": T0 + 100, "problem": ""},
    )
    assert statuses(people, "silence_preview", detector.asset_id) == [200, 200, 200, 404]
    days = {"days": 366}
    found = ask(people[2], "silence_preview", detector.asset_id, days)[1]
    assert (found["incidents"], found["silenced"], len(found["examples"])) == (1, 1, 1)
    assert ask(people[2], "silence_preview", detector.asset_id, days | {"severity": "info"})[1]["silenced"] == 0
    assert ask(people[2], "silence_preview", detector.asset_id, days | {"severity": "loud"})[0] == 400
