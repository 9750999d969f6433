"""The job that fits a detector: every sentence that it refuses with, and all of it for a small plant."""

import hashlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from contracts.anomaly import FitArguments, FitReport, ScoreItem
from contracts.messages import JobRequest
from tests.workers.detect.histories import broken, plant
from workers.detect import fitted
from workers.detect.graph import Session
from workers.jobs import fit_detector, trained_detector
from workers.jobs.report import JobError, Report
from workers.recipes import v4

SENSORS = ["pressure", "flow", "heat"]
BEGIN, INTERVAL = 1_700_000_040.0, 60.0


def history(tmp_path, values=None, times=None, name="history.npz"):
    values = plant(1000) if values is None else values
    times = BEGIN + INTERVAL * np.arange(len(values)) if times is None else times
    np.savez(tmp_path / name, times=times, values=values)
    return str(tmp_path / name)


def run(tmp_path, series, **changes):
    asked = FitArguments(series, SENSORS, "pump", "Pump", **{"detector": "seasonal", **changes})
    folder = tmp_path / "artifacts" / ".job-1"
    folder.mkdir(parents=True)
    pipe = io.StringIO()
    result = fit_detector.run(JobRequest("1", "fit_detector", asked.to_dict()), folder, Report(pipe))
    return result, [json.loads(line)[1] for line in pipe.getvalue().splitlines()]


@pytest.fixture
def short(monkeypatch):
    """Training a V4 of one layer for a moment: what is written takes as long as there are operators."""
    whole = v4.series

    def series(sensors):
        config = whole(sensors)
        options = replace(config.options, steps=12, batch_size=4, evaluate_every=6)
        return replace(config, model={**config.model, "layers": 1}, options=options)

    monkeypatch.setattr(trained_detector.recipes, "series", series)


def test_the_artifact_is_what_the_result_says(tmp_path):
    anomaly = BEGIN + INTERVAL * 850
    result, told = run(tmp_path, history(tmp_path, broken(plant(1000), 850)), anomalies=[[anomaly, anomaly + 660]])
    folder = tmp_path / "artifacts" / result["artifact"]
    manifest = json.loads((folder / "manifest.json").read_text())
    report = FitReport.from_dict(result["report"])

    assert hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest() == result["digest"]
    assert (manifest["task"], manifest["sensors"]) == ("anomaly-detection", SENSORS)
    assert sorted(manifest["files"]) == ["README.md", "detector.npz", "history.npz"]
    assert (report.detector, report.basis, report.interval, report.steps) == ("seasonal", "labels", 60.0, 1000)
    assert {row["detector"] for row in report.rows} >= {"seasonal", "subsequence_pca", "random", "always"}
    assert 0 < report.threshold < 10
    assert [entry["fraction"] for entry in told if "fraction" in entry] == sorted(
        entry["fraction"] for entry in told if "fraction" in entry
    )
    json.dumps(result, allow_nan=False)
    assert "No point adjustment" in (folder / "README.md").read_text()


def test_what_is_served_goes_on_where_the_history_ends(tmp_path):
    values = plant(1010)
    result, _ = run(tmp_path, history(tmp_path, values[:1000]))
    folder = tmp_path / "artifacts" / result["artifact"]
    detector = fitted.load(folder, json.loads((folder / "manifest.json").read_text()), Session)
    with np.load(folder / "history.npz") as file:
        told = {name: file[name] for name in file.files}
    begin = 1000 - detector.context
    rows = [[None if np.isnan(one) else one for one in row] for row in values[begin:].tolist()]
    times = [BEGIN + INTERVAL * step for step in range(begin, 1010)]
    found = detector.respond(ScoreItem("a", "d", times, rows, from_time=times[-11], until=times[-1] + INTERVAL))

    assert found.times[0] == told["times"][-1]
    assert found.scores[0] == pytest.approx(told["scores"][-1], abs=1e-3)
    assert len(found.times) == 11


@pytest.mark.usefixtures("short")
def test_v4_is_trained_exported_and_served(tmp_path):
    values = plant(1000)
    result, told = run(tmp_path, history(tmp_path, values), detector="v4")
    folder = tmp_path / "artifacts" / result["artifact"]
    manifest = json.loads((folder / "manifest.json").read_text())

    assert result["report"]["detector"] == "v4"
    assert manifest["graph"]["parity"]["max_error"] < 1e-4
    assert "model.onnx" in manifest["files"]
    assert [entry["step"] for entry in told if entry.get("figures")] == [6, 12]
    detector = fitted.load(folder, manifest, Session)
    with np.load(folder / "history.npz") as file:
        scores = file["scores"]
    state, found = "", []
    for begin in range(0, 90, 3):
        rows = [[None if np.isnan(one) else one for one in row] for row in values[begin : begin + 3].tolist()]
        times = [BEGIN + INTERVAL * step for step in range(begin, begin + 3)]
        answer = detector.respond(ScoreItem("a", "d", times, rows, state, until=times[-1] + INTERVAL / 2))
        state = answer.state
        found += [np.nan if one is None else one for one in answer.scores]
    assert len(found) == 90
    assert np.allclose(found, scores[:90], atol=1e-3, equal_nan=True)
    assert not (tmp_path / "artifacts" / ".job-1" / "v4").exists()


@pytest.mark.usefixtures("short")
def test_a_stranger_s_file_is_fitted_as_it_is(tmp_path):
    """Irregular times in any order, sensors that report at different moments, cells that are missing."""
    source = np.random.default_rng(0)
    times = BEGIN + np.sort(source.uniform(0, 60_000, 2500))
    values = plant(1001)[((times - BEGIN) // 60).astype(int)]
    values[source.random(values.shape) < 0.4] = np.nan
    order = source.permutation(len(times))
    result, _ = run(tmp_path, history(tmp_path, values[order], times[order]), detector="auto")

    assert result["report"]["missing"] > 0.1
    assert result["report"]["threshold"] is not None


@pytest.mark.parametrize(("changes", "message"), [
    ({"interval": 6000.0}, "11 steps of 6000 seconds; 200 are needed"),
    ({"detector": "oracle"}, "no detector oracle"),
    ({"budget": {"alarms": 0, "per": "cent"}}, "budget"),
    ({"interval": 1e-6}, "far too short"),
])  # fmt: skip
def test_what_cannot_be_done_is_said(tmp_path, changes, message):
    with pytest.raises(JobError, match=message):
        run(tmp_path, history(tmp_path), **changes)


def test_a_detector_that_does_not_fit_the_history_says_why(tmp_path):
    values = plant(1000)
    values[:, 1:] = np.nan
    asked = FitArguments(history(tmp_path, values[:, :1]), ["one"], "pump", "Pump", detector="pca")
    folder = tmp_path / "job"
    folder.mkdir()
    with pytest.raises(JobError, match="One sensor alone"):
        fit_detector.run(JobRequest("1", "fit_detector", asked.to_dict()), folder, Report(io.StringIO()))


def test_a_file_that_is_no_history_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "pickled.npz", times=np.array([object()]), values=np.zeros((1, 3)))
    np.savez(tmp_path / "lacking.npz", times=np.zeros(3))
    for name in ("text.npz", "pickled.npz", "lacking.npz", "missing.npz"):
        with pytest.raises(JobError, match="is not a history"):
            fit_detector.read_history(FitArguments(str(tmp_path / name), SENSORS, "p", "P"))
    with pytest.raises(JobError, match="3 readings in each row"):
        fit_detector.read_history(FitArguments(history(tmp_path, np.zeros((500, 2))), SENSORS, "p", "P"))
    with pytest.raises(JobError, match="no readings"):
        fit_detector.read_history(FitArguments(history(tmp_path, np.full((500, 3), np.nan)), SENSORS, "p", "P"))


def test_what_was_excluded_is_neither_normal_nor_known(tmp_path):
    spans = {"anomalies": [[BEGIN, BEGIN + 60]], "excluded": [[BEGIN + 60, BEGIN + 120]]}
    found = fit_detector.read_history(FitArguments(history(tmp_path), SENSORS, "p", "P", **spans))

    assert np.flatnonzero(found.is_anomaly).tolist() == [0, 1]
    assert np.flatnonzero(found.is_excluded).tolist() == [2]
    assert found.is_normal.sum() == 997
