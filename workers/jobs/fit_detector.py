"""The job that backtests detectors of anomalies on a history and makes an artifact of the one that is taken.

Arguments are those of contracts.anomaly.FitArguments. Its result is {artifact, digest, metrics, report}.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from contracts.anomaly import HISTORY, MOST_SENSORS, TASK, Budget, Detector, FitArguments, FitReport
from contracts.conformal import threshold
from contracts.messages import JobRequest
from workers.artifacts.bucket import ArtifactError
from workers.artifacts.store import store_at
from workers.detect import fitted as fitting
from workers.detect.backtest import History, Judged, backtest, finish, reason, simple_makers
from workers.detect.grid import interval_of, steps_of
from workers.export.detector_card import model_card
from workers.export.manifest import seal
from workers.export.source import ExportError
from workers.jobs.report import JobError, Report, main
from workers.jobs.trained_detector import Trainer

LEAST_STEPS, MOST_STEPS = 200, 200_000  # of a history; of a longer one the newest are read
_BACKTEST = (0.05, 0.85)  # shares of the job
_ALWAYS = ("random", "always")


def run(request: JobRequest, folder: Path, report: Report) -> dict[str, Any]:
    """The artifact's folder, a sibling of `folder`. Raises JobError."""
    torch.set_num_threads(1)  # the models are so small that a second thread costs more than it computes
    try:
        wanted = FitArguments.from_dict(request.arguments)
        budget = Budget.from_dict(wanted.budget)
        report.progress("reading the history", 0.02)
        history = read_history(wanted)
        return _publish(*_chosen(history, wanted, budget, folder, report), folder, report)
    except (ValueError, TypeError, ArithmeticError, ExportError, ArtifactError) as error:
        raise JobError(str(error)) from error


def read_history(wanted: FitArguments) -> History:
    """Raises JobError."""
    times, values = _arrays(Path(wanted.series))
    if values.ndim != 2 or len(times) != len(values) or values.shape[1] != len(wanted.sensors):
        raise JobError(f"The history must have a time and {len(wanted.sensors)} readings in each row.")
    if not 0 < values.shape[1] <= MOST_SENSORS:
        raise JobError(f"A detector reads 1 to {MOST_SENSORS} sensors.")
    is_known = np.isfinite(times) & np.isfinite(values).any(1)
    times, values = times[is_known], values[is_known]
    if not len(times):
        raise JobError("The history has no readings.")
    interval = wanted.interval or interval_of(times)
    numbers, steps = steps_of(times, values, interval)
    numbers, steps = numbers[-MOST_STEPS:], steps[-MOST_STEPS:]
    if len(steps) < LEAST_STEPS:
        raise JobError(f"The history has {len(steps)} steps of {interval:g} seconds; {LEAST_STEPS} are needed.")
    moments = numbers * interval
    marks = [_within(moments, spans, interval) for spans in (wanted.anomalies, wanted.excluded)]
    return History(steps, interval, int(numbers[0]), marks[0], marks[1] & ~marks[0])


def _arrays(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["times"].astype(np.float64), file["values"].astype(np.float64)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise JobError(f"{path.name} is not a history with times and values: {error}") from error


def _within(moments: NDArray[np.float64], spans: list[list[float]], interval: float) -> NDArray[np.bool_]:
    found = np.zeros(len(moments), bool)
    for begin, end in spans:
        found |= (moments >= begin - interval / 2) & (moments <= end + interval / 2)
    return found


def _chosen(
    history: History, wanted: FitArguments, budget: Budget, folder: Path, report: Report
) -> tuple[Judged, History, FitArguments, FitReport, Trainer]:
    """The detector that is taken, calibrated, with the report of all."""
    if wanted.detector not in list(Detector):
        raise JobError(f"This release knows no detector {wanted.detector}.")
    makers = simple_makers(history, wanted.seed)
    trainer = Trainer(history, wanted.seed, folder / "v4", report)
    if wanted.detector in (Detector.AUTO, Detector.V4):
        makers["v4"] = trainer.make
    begin, end = _BACKTEST

    def say(stage: str, share: float) -> None:
        report.progress(stage, begin + (end - begin) * share)

    with np.errstate(all="ignore"):
        found, basis = backtest(history, makers, budget, wanted.seed, say)
        if wanted.detector != Detector.AUTO:
            found.sort(key=lambda one: one.row.detector != wanted.detector)
        best = found[0]
        if best.fitted is None:
            raise JobError(best.row.error)
        report.progress("calibrating", end)
        calibration = finish(best, history)
    limit = threshold(calibration, budget.alarms, budget.per)
    written = FitReport(
        detector=best.row.detector, reason=reason(found, wanted.detector, basis), basis=basis,
        rows=[json.loads(one.row.to_json()) for one in found], interval=history.interval,
        context=best.fitted.context, steps=len(history.values),
        missing=round(float(np.isnan(history.values).mean()), 5),
        threshold=limit if math.isfinite(limit) else None, calibration=calibration.to_dict(),
    )  # fmt: skip
    return best, history, wanted, written, trainer


def _publish(
    best: Judged, history: History, wanted: FitArguments, written: FitReport, trainer: Trainer, folder: Path,
    report: Report,
) -> dict[str, Any]:  # fmt: skip
    report.progress("writing the detector", 0.9)
    assert best.fitted is not None and best.track is not None
    artifact = folder / "artifact"
    artifact.mkdir()
    fitting.save(best.fitted, artifact)
    _write_history(best, history, artifact / HISTORY)
    more = trainer.files_to(artifact) if written.detector == Detector.V4 else {}
    values = {
        "name": wanted.name, "title": wanted.title, "task": TASK, "licence": "", "precision": "fp32",
        "sensors": wanted.sensors, "detector": best.fitted.values(), "report": written.to_dict(),
        "source": {"origin": "Fitted on readings of this installation", "steps": written.steps},
        "metrics": json.loads(best.row.to_json()), **more,
    }  # fmt: skip
    (artifact / "README.md").write_text(model_card(values))
    digest = seal(artifact, values)
    name = f"{wanted.name}-{digest[:16]}"
    store_at(wanted.store, folder.parent, partial(report.share, "uploading", 0.95, 1.0)).put(artifact, name)
    shutil.rmtree(folder / "v4", ignore_errors=True)
    return {"artifact": name, "digest": digest, "metrics": values["metrics"], "report": written.to_dict()}


def _write_history(best: Judged, history: History, path: Path) -> None:
    """What the detector makes of the history, in the scores that it tells."""
    assert best.fitted is not None and best.track is not None
    times = (history.origin + np.arange(len(history.values))) * history.interval
    arrays = {"times": times, "values": history.values, "scores": best.track.scores / best.fitted.unit}
    if best.track.expected is not None and best.fitted.spread is not None:
        arrays |= {"expected": best.track.expected, "spread": best.fitted.spread}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main(run))
