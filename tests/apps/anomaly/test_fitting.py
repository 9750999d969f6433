"""A history on its way to the job that fits a detector, and what it makes on its way to work."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.accounts.models import User
from apps.anomaly import detectors, fitting, incidents, storing
from apps.anomaly.models import Detector, Finding, Fit, Incident, Score, Sensor
from apps.jobs.models import Job
from apps.jobs.signals import JobRefused
from contracts.anomaly import HISTORY, FitArguments
from tests.apps.anomaly.conftest import BEGIN, T0
from tests.apps.anomaly.watcher import report

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
Put = Callable[..., storing.Stored]
END = BEGIN + timedelta(hours=1)


@pytest.fixture(autouse=True)
def artifacts_dir(settings: Any, tmp_path: Path) -> Iterator[Path]:
    settings.ARTIFACTS_DIR = str(tmp_path)
    yield tmp_path


@pytest.fixture
def detector(sensor: Sensor, other: Sensor) -> Detector:
    return detectors.create(asset=sensor.asset, sensors=[other, sensor], name="Both")


def prepared(detector: Detector, owner: User, **values: Any) -> Fit:
    fit = detectors.fit(detector=detector, begin=BEGIN, end=END, actor=owner, **values)
    fitting.prepare(fit=fit)
    fit.refresh_from_db()
    return fit


def end(fit: Fit, folder: Path, **values: Any) -> None:
    """The job has succeeded, and its artifact has a history of three steps."""
    (folder / "made").mkdir(exist_ok=True)
    np.savez(folder / "made" / HISTORY, times=np.array([T0, T0 + 1, T0 + 2]), scores=np.array([0.5, np.nan, 0.75]),
             expected=np.ones((3, 2)), spread=np.ones((3, 2)))  # fmt: skip
    result = {"artifact": "made", "digest": "d" * 64, "metrics": {}, "report": report(**values).to_dict()}
    Job.objects.filter(pk=fit.job_id).update(state="SUCCEEDED", result=result)
    fitting.settle(job=Job.objects.get(pk=fit.job_id))
    fit.refresh_from_db()


def test_a_history_has_a_row_for_each_moment_and_a_column_for_each_sensor(
    put: Put, sensor: Sensor, other: Sensor, detector: Detector, owner: User
) -> None:
    put(sensor, np.arange(200), np.arange(200))
    put(other, [0, 1, 1.5], [7, 8, 9])
    fit = prepared(detector, owner, kind="pca", budget=2.0, per="day")
    assert (fit.state, fit.asked, fit.number) == ("fitting", "pca", 1)
    asked = FitArguments.from_dict(fit.job.arguments)
    with np.load(asked.series, allow_pickle=False) as found:
        times, values = found["times"], found["values"]
    assert np.array_equal(times - T0, np.sort(np.r_[np.arange(200.0), 1.5]))
    assert np.array_equal(values[:3], [[7, 0], [8, 1], [9, np.nan]], equal_nan=True)
    assert (asked.sensors, asked.detector, asked.budget, asked.interval) == (
        ["Current", "Bearing"], "pca", {"alarms": 2.0, "per": "day"}, 1.0
    )  # fmt: skip


def test_too_few_readings_are_told(put: Put, sensor: Sensor, detector: Detector, owner: User) -> None:
    put(sensor, np.arange(10), np.arange(10))
    fit = prepared(detector, owner)
    assert (fit.state, fit.job) == ("failed", None)
    assert fit.problem == "There are readings at 10 moments in this span; fitting takes 200 at least."


def test_what_people_have_said_goes_with_it(put: Put, sensor: Sensor, detector: Detector, owner: User) -> None:
    put(sensor, np.arange(200), np.arange(200))
    for n, state in enumerate(Incident.State.values):
        at = BEGIN + timedelta(seconds=10 * n)
        incident = Incident.objects.create(asset=detector.asset, began_at=at, last_at=at, state=state)
        Finding.objects.create(incident=incident, kind="score", began_at=at, last_at=at + timedelta(seconds=2),
                               columns=[sensor.pk])  # fmt: skip
    asked = FitArguments.from_dict(prepared(detector, owner).job.arguments)
    assert asked.excluded == [[T0, T0 + 2], [T0 + 10, T0 + 12]]  # open and acknowledged
    assert asked.anomalies == [[T0 + 20, T0 + 22]]  # resolved; a false alarm was normal


def test_of_a_long_history_the_newest_is_taken(put: Put, sensor: Sensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MOST", 1000)
    put(sensor, np.arange(0, 86_400, 60), np.arange(1440))
    times, _ = fitting.history([sensor.pk], BEGIN, BEGIN + timedelta(days=1))
    assert (times[-1] - T0, 500 < len(times) <= 1000) == (86_340, True)


def test_what_was_made_serves_with_the_threshold_of_the_budget(
    put: Put, sensor: Sensor, detector: Detector, owner: User, artifacts_dir: Path
) -> None:
    put(sensor, np.arange(200), np.arange(200))
    fit = prepared(detector, owner, budget=1.0, per="cent")
    end(fit, artifacts_dir)
    detector.refresh_from_db()
    assert (fit.state, fit.kind, detector.state, detector.fit) == ("ready", "pca", "watching", fit)
    assert (detector.threshold, detector.scored_to) == (1.98, BEGIN + timedelta(seconds=199))
    assert list(Score.objects.order_by("at").values_list("value", "expected")) == [
        (0.5, [1.0, 1.0]),
        (0.75, [1.0, 1.0]),
    ]
    assert list(fitting.folder().glob("*")) == []


def test_versions_are_gone_back_to(
    put: Put, sensor: Sensor, detector: Detector, owner: User, artifacts_dir: Path
) -> None:
    put(sensor, np.arange(200), np.arange(200))
    first = prepared(detector, owner)
    with pytest.raises(ValueError, match="being fitted already"):
        detectors.fit(detector=detector, begin=BEGIN, end=END, actor=owner)
    with pytest.raises(ValueError, match="is not ready"):
        detectors.serve(fit=first, actor=owner)
    end(first, artifacts_dir)
    second = prepared(detector, owner, serves_at_once=False)
    end(second, artifacts_dir)
    detector.refresh_from_db()
    assert (detector.fit, second.number) == (first, 2)
    detectors.serve(fit=second, actor=owner)
    detectors.serve(fit=first, actor=owner)
    detector.refresh_from_db()
    assert detector.fit == first


def test_a_job_that_fails_says_why_and_one_that_makes_nonsense_is_refused(
    put: Put, sensor: Sensor, detector: Detector, owner: User
) -> None:
    put(sensor, np.arange(200), np.arange(200))
    fit = prepared(detector, owner)
    Job.objects.update(state="FAILED", reason="Out of memory.")
    fitting.settle(job=Job.objects.get())
    fit.refresh_from_db()
    assert (fit.state, fit.problem) == ("failed", "Out of memory.")
    Job.objects.update(state="SUCCEEDED", result={"artifact": "x"})
    with pytest.raises(JobRefused):
        fitting.settle(job=Job.objects.get())


def test_a_calibration_that_is_too_short_gives_its_highest_score(
    put: Put, sensor: Sensor, detector: Detector, owner: User, artifacts_dir: Path
) -> None:
    put(sensor, np.arange(200), np.arange(200))
    fit = prepared(detector, owner, budget=0.001, per="day")
    end(fit, artifacts_dir)
    detector.refresh_from_db()
    assert detector.threshold == 1.99


@pytest.mark.parametrize("values", [{"kind": "magic"}, {"end": BEGIN}, {"budget": -1.0}, {"per": "year"}])
def test_a_fit_that_cannot_be_is_refused(detector: Detector, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=": "):
        detectors.fit(detector=detector, actor=None, **({"begin": BEGIN, "end": END} | values))


def test_deleted_is_deleted_and_its_incidents_stay(detector: Detector, owner: User) -> None:
    incident = Incident.objects.create(asset=detector.asset, began_at=BEGIN, last_at=BEGIN)
    Finding.objects.create(incident=incident, kind="score", detector=detector, began_at=BEGIN, last_at=BEGIN)
    detectors.delete(detector=detector, actor=owner)
    assert Finding.objects.get().ended_at == BEGIN
    assert incidents.acknowledge(incident=incident, actor=owner)
