"""Seeds that were trained in different sessions add up."""

import json
from pathlib import Path

import pytest

from benchmarks import v1_accuracy
from benchmarks.v1_accuracy import by_contender, collect, digest, names, summary, training


def write_run(runs: Path, name: str, accuracy: float, **changes: str) -> None:
    metrics = dict.fromkeys(v1_accuracy._KEPT, 1) | {"accuracy": accuracy, "test": {"range": 0.5}, "losses": [1.0] * 99}
    (runs / name).mkdir()
    (runs / name / "metrics.json").write_text(json.dumps(metrics))
    (runs / name / "config.json").write_text(json.dumps({"training": training(name) | changes}))


def test_runs_of_two_sessions_add_up(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    write_run(first, "sst2-dynamic-0", 0.85)
    write_run(first, "sst2-full-0", 0.84)
    write_run(second, "sst2-dynamic-1", 0.87)
    write_run(second, "sst2-full-0", 0.83)

    runs = collect(second, collect(first, {}))
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
    stale = {"sst2-full-0": {"accuracy": 0.99, "recipe": digest({"another": "recipe"})}}

    assert collect(tmp_path, stale) == {}
    assert "sst2-dynamic-0 is a run of another configuration" in capsys.readouterr().err


def test_every_contender_has_three_seeds() -> None:
    assert len(names(list(v1_accuracy.RUNS))) == 3 * sum(map(len, v1_accuracy.RUNS.values()))
    assert training("listops-full-2")["attention"] == "full"
    assert training("listops-full-2")["options"]["seed"] == 2
