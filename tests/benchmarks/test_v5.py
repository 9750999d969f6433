"""The tables of V5's benchmarks, from runs that nobody trained, and the nearest drawing."""

import dataclasses
from pathlib import Path

import pytest
import torch

from benchmarks import v5_omniglot, v5_regression
from tests.workers.omniglot_archives import write_archives
from workers.recipes import v5


def letters(between: float, within: float) -> dict[str, object]:
    test = {name: {"mean": mean, "interval": 0.004, "tasks": 600}
            for name, mean in (("between", between), ("within", within))}  # fmt: skip
    return {"test": test, "parameters": 100, "seconds": 60.0}


def curves(mse: float) -> dict[str, object]:
    return {"test": {"test": {"mean": -mse, "interval": 0.01, "tasks": 600}}, "parameters": 100, "seconds": 60.0}


def test_the_best_of_the_others_counts_pixels_among_them() -> None:
    runs = {
        "meta_lora_5w1s-0": letters(0.97, 0.9), "meta_lora_5w1s-1": letters(0.98, 0.9),
        "maml_5w1s-0": letters(0.95, 0.9), "prototypes_5w1s-0": letters(0.96, 0.9),
        "meta_lora_20w1s-0": letters(0.9, 0.8), "anil_20w1s-0": letters(0.3, 0.2),
    }  # fmt: skip
    found = v5_omniglot.by_contender(runs)
    nearest = {"5w1s": {"between": {"mean": 0.7}}, "20w1s": {"between": {"mean": 0.4}}}
    assert found["meta_lora_5w1s"]["between"] == {"mean": 97.5, "by_seed": [97, 98], "interval": 0.4, "tasks": 600}
    assert v5_omniglot.summary(found, nearest) == {
        "acc_5w1s": 97.5, "best_baseline_5w1s": 96.0, "acc_20w1s": 90.0, "best_baseline_20w1s": 40.0,
        "acc_20w1s_within": 80.0,
    }  # fmt: skip


def test_errors_are_compared_with_the_better_maml() -> None:
    runs = {
        "meta_lora_5-0": curves(0.3), "maml_5-0": curves(1.2), "maml_faster_5-0": curves(0.6),
        "no_embedding_5-0": curves(0.4), "maml_2-0": curves(1.0),
    }  # fmt: skip
    assert v5_regression.summary(v5_regression.by_contender(runs)) == {
        "mse_5": 0.3, "mse_ratio_to_maml_5": 0.5, "mse_ratio_to_no_embedding_5": 0.75,
    }  # fmt: skip


@pytest.mark.parametrize("trainings", [v5_omniglot.TRAININGS, v5_regression.TRAININGS])
def test_every_contender_has_three_seeds_and_a_recipe(trainings) -> None:
    assert len(trainings.names) == 3 * len(trainings.contenders)
    for name in trainings.names:
        config = trainings.config(name)
        assert (config["options"]["seed"], config["test_tasks"]) == (int(name[-1]), 600)


def test_pixels_find_the_nearest_drawing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = v5_omniglot._Pixels()
    x, y = torch.tensor([[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]]), torch.eye(2)[[0, 0, 1]]
    found = learner.predict(learner.adapt(x, y, 0), torch.tensor([[1.5, 1.5], [4.0, 4.0]]))
    assert found.tolist() == [[-0.5, -24.5], [-18.0, -2.0]]
    write_archives(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    figures = v5_omniglot.pixels(dataclasses.replace(v5.omniglot(), ways=3, test_tasks=20))
    assert figures["between"]["mean"] > 0.5 and figures["within"]["tasks"] == 20  # a third by chance
