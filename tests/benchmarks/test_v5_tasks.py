"""Every contender gets the same tasks, and the table says only what was measured."""

from argparse import Namespace
from pathlib import Path

import pytest
import torch

from benchmarks import v5_tasks
from benchmarks.fine_tuning import Lesson
from benchmarks.v5_tasks import KINDS, TRAININGS, bench, by_prototypes, by_regression, frozen, of_runs, read, summary
from workers.training import meta
from workers.training.learners import Prototypes


def test_three_seeds_of_each_base_on_at_least_600_tasks() -> None:
    assert len(TRAININGS.names) == 6
    assert {TRAININGS.config(name)["test_tasks"] for name in TRAININGS.names} == {600}
    assert {kind.contender for kind in KINDS.values()} == set(TRAININGS.contenders)


def test_features_of_the_frozen_base_are_told_as_the_learner_of_prototypes_tells_them(config) -> None:
    of = bench("topics")
    wanted = meta.judged(Prototypes(of.base), of.parts.tests["news"], config, config.test_tasks, 0, meta.TEST_SEED)
    found = torch.tensor([by_prototypes(lesson) for lesson in read(of.base, of.test("news"))])
    torch.testing.assert_close(found, wanted)


def test_logistic_regression_tells_two_directions() -> None:
    x, y = torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [0.1, 1.0]]), torch.eye(2)[[0, 0, 1, 1]]
    assert by_regression(Lesson(x, y, x.flip(0), y.flip(0)), 10.0) == 1
    assert by_regression(Lesson(x, y, x.flip(0), y), 10.0) == 0


def test_rivals_are_measured_on_as_many_tasks_as_they_get(config, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.fine_tuning.CHOSEN_ON", 1)
    found = v5_tasks.rivals("topics", Namespace(runs=tmp_path, tuned=2))
    assert set(found) == {"news", "reviews"}
    for entries in found.values():
        assert [entries[name]["tasks"] for name in ("prototypes", "logistic", "fine_tuning")] == [25, 25, 2]
        assert entries["fine_tuning"]["rate"] in (1e-4, 1e-2)
    without = v5_tasks.rivals("topics", Namespace(runs=tmp_path / "none", tuned=0))
    assert without["news"]["fine_tuning"] == {} and without["news"]["logistic"] == found["news"]["logistic"]


def run(mean: float, plain: float) -> dict[str, object]:
    def tests(value: float) -> dict[str, object]:
        return {name: {"mean": value, "interval": 0.01, "tasks": 600} for name in ("news", "reviews")}

    return {"test": tests(mean), "without_gradients": tests(plain)}


def test_the_summary_names_the_best_rival_and_nothing_that_was_not_measured() -> None:
    found = of_runs({"topics-0": run(0.8, 0.7), "topics-2": run(0.9, 0.8)}, KINDS["news"])
    assert found["meta_lora"] == {"mean": 85, "by_seed": [80, 90], "interval": 1, "tasks": 600}
    assert of_runs({"topics-0": run(0.8, 0.7)}, KINDS["emoji_5w"]) == {}
    told = {"news": {**found, "prototypes": {"mean": 81.0}, "logistic": {"mean": 82.0}, "fine_tuning": {}}}
    assert summary(told) == {
        "acc_news": 85, "acc_news_without_gradients": 75, "prototypes_news": 81.0, "logistic_news": 82.0,
        "best_baseline_news": 82.0,
    }  # fmt: skip
    assert summary({"emoji_5w": {}}) == {}


def test_frozen_takes_the_strength_that_validation_prefers(config) -> None:
    assert frozen(bench("topics"), "news")["logistic"]["C"] in v5_tasks._STRENGTHS
    assert v5_tasks.in_percent([1.0, 0.0, 1.0, 0.0])["mean"] == pytest.approx(50)
