"""Seeds that were trained in different sessions add up."""

import json
from pathlib import Path

import pytest

from benchmarks import v1_accuracy
from benchmarks.v1_accuracy import TRAININGS, by_contender, summary


def write_run(runs: Path, name: str, accuracy: float, **changes: str) -> None:
    metrics = {"accuracy": accuracy, "test": {"range": 0.5}, "losses": [1.0] * 99, "steps": 99, "parameters": 1,
               "examples": {}, "seconds": 60.0}  # fmt: skip
    (runs / name).mkdir()
    (runs / name / "metrics.json").write_text(json.dumps(metrics))
    (runs / name / "config.json").write_text(json.dumps({"training": TRAININGS.config(name) | changes}))


def test_runs_of_two_sessions_add_up(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    write_run(first, "sst2-dynamic-0", 0.85)
    write_run(first, "sst2-full-0", 0.84)
    write_run(second, "sst2-dynamic-1", 0.87)
    write_run(second, "sst2-full-0", 0.83)

    runs = TRAININGS.collect(second, TRAININGS.collect(first, {}))
    found = {"sst2": by_contender(runs, "sst2")}

    assert {name: run["accuracy"] for name, run in runs.items()} == {
        "sst2-dynamic-0": 0.85, "sst2-full-0": 0.83, "sst2-dynamic-1": 0.87,
    }  # fmt: skip
    assert found["sst2"]["dynamic"]["seeds"] == [0, 1]
    assert found["sst2"]["dynamic"]["accuracy_mean"] == 86.0
    assert "losses" not in runs["sst2-dynamic-0"]
    assert summary(found) == {"sst2_gap_points": -2.0}  # over seed 0, the only one that both have


def test_a_run_of_another_configuration_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, "sst2-dynamic-0", 0.99, longest="8")
    stale = {"sst2-full-0": {"accuracy": 0.99, "recipe": "of another time"}}

    assert TRAININGS.collect(tmp_path, stale) == {}
    assert "sst2-dynamic-0 is a run of another configuration" in capsys.readouterr().err


def test_every_contender_has_three_seeds() -> None:
    assert len(TRAININGS.names) == len(set(TRAININGS.names)) == 3 * sum(map(len, v1_accuracy.RUNS.values()))
    config = TRAININGS.config("listops-full-2")
    assert (config["attention"], config["options"]["seed"]) == ("full", 2)


def test_what_is_missing_of_what_is_asked_for_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []
    monkeypatch.setattr(type(TRAININGS), "train", lambda self, runs, names: trained.extend(names))
    write_run(tmp_path, "sst2-dynamic-0", 0.85)
    asked = ["--train", "--only", "sst2", "--runs", str(tmp_path), "--out", str(tmp_path / "none.json")]
    TRAININGS.gather(TRAININGS.parser("", "", tuple(v1_accuracy.RUNS)).parse_args(asked))
    assert trained == ["sst2-full-0", "sst2-dynamic-1", "sst2-full-1", "sst2-dynamic-2", "sst2-full-2"]
