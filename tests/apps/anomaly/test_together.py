"""Both sides at once, without broker and processes: readings, a fit by the real job, scores by the real task."""

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.accounts.models import User
from apps.anomaly import detectors, fitting, scoring, storing, thresholds
from apps.anomaly.models import Fit, Incident, Score, Sensor
from apps.jobs.models import Job
from contracts.anomaly import ScoreItem
from contracts.messages import JobRequest
from tests.apps.anomaly.conftest import BEGIN, T0
from tests.apps.anomaly.watcher import Watcher
from workers.jobs import fit_detector
from workers.jobs.report import Report
from workers.pipelines.anomaly_detection import AnomalyLane, Shelf

pytestmark = [pytest.mark.integration, pytest.mark.django_db]
STEPS, INTERVAL = 900, 60.0


class RealWorker(Watcher):
    """Answers with the detectors of the worker side."""

    lane = AnomalyLane(Shelf())

    def _scored(self, item: dict[str, Any]) -> dict[str, Any]:
        from dataclasses import asdict

        (found,) = self.lane.run([ScoreItem.from_dict(item)])
        return asdict(found)


def readings(begin: int, count: int) -> np.ndarray:
    """[count, 2] of a machine whose current follows its temperature, from the step `begin` on."""
    steps = np.arange(begin, begin + count)
    heat = 40 + 5 * np.sin(steps / 40)
    noise = np.random.default_rng(begin).normal(0, 0.2, (count, 2))
    return np.stack([heat, 2 * heat + 3], 1) + noise


def fitted(fit: Fit, folder: Path) -> None:
    """As worker-train and the settling do it."""
    fitting.prepare(fit=fit)
    job = Job.objects.get()
    work = folder / ".job"
    work.mkdir(exist_ok=True)
    result = fit_detector.run(JobRequest(str(job.pk), job.kind, job.arguments), work, Report(io.StringIO()))
    Job.objects.filter(pk=job.pk).update(state="SUCCEEDED", result=result)
    fitting.settle(job=Job.objects.get(pk=job.pk))


def test_a_fault_is_found_in_what_comes_after_the_fit(
    put: Callable[..., storing.Stored], sensor: Sensor, other: Sensor, owner: User, watcher: Watcher, settings: Any,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings.ARTIFACTS_DIR = str(tmp_path)
    real = RealWorker()
    monkeypatch.setattr(watcher, "answer", real.answer)
    Sensor.objects.update(interval=INTERVAL)

    def send(begin: int, values: np.ndarray) -> None:
        times = INTERVAL * np.arange(begin, begin + len(values))
        put(sensor, times, values[:, 0])
        put(other, times, values[:, 1])
        scoring.send_fresh()

    send(0, readings(0, STEPS))
    detector = detectors.create(asset=sensor.asset, sensors=[sensor, other])
    fit = detectors.fit(
        detector=detector, begin=BEGIN, end=BEGIN + timedelta(days=1), actor=owner, kind="pca", budget=1.0, per="cent"
    )
    fitted(fit, tmp_path)
    detector.refresh_from_db()
    assert (detector.state, detector.fit, detector.threshold is not None) == ("watching", fit, True)
    history = Score.objects.filter(detector_id=detector.pk)
    assert history.count() > STEPS / 2
    curve = thresholds.on_history(detector, 30)
    assert curve["alarms"][0] > 0 and curve["alarms"][-1] == 0

    send(STEPS, readings(STEPS, 30))
    assert Incident.objects.count() <= 1
    Incident.objects.all().delete()
    broken = readings(STEPS + 30, 10)
    broken[:, 1] += 20  # the current rises, the temperature does not
    send(STEPS + 30, broken)
    send(STEPS + 40, readings(STEPS + 40, 30))
    detector.refresh_from_db()
    assert (detector.problem, detector.scored_to) == ("", BEGIN + timedelta(seconds=INTERVAL * (STEPS + 69)))
    incident = Incident.objects.order_by("-peak")[0]
    finding = incident.findings.order_by("-peak")[0]
    began = finding.began_at.timestamp() - T0
    assert INTERVAL * (STEPS + 29) <= began <= INTERVAL * (STEPS + 41)
    assert (incident.peak > 2, len(finding.shares), abs(sum(finding.shares) - 1) < 1e-3) == (True, 2, True)
