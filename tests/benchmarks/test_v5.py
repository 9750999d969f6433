"""The tables of V5's benchmarks, from runs that nobody trained, and the nearest drawing."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import v5_omniglot, v5_regression, v5_spoken, v5_windows
from tests.workers.omniglot_archives import write_archives
from workers.data.corpus import DataMissing
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


def write_sets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One set of UCR's form, rising and falling lines."""
    (folder / "ucr/Lines").mkdir(parents=True)
    for part, count in (("TRAIN", 4), ("TEST", 8)):
        rows = [",".join(str(sign * at + at * n % 3) for at in range(24)) + f":{sign}" for sign in (1, -1)
                for n in range(count)]  # fmt: skip
        (folder / f"ucr/Lines/Lines_{part}.ts").write_text("\n".join(["# made", "@data", *rows]))
    monkeypatch.setenv("DATA_DIR", str(folder))


def test_windows_of_a_task_are_never_examples_and_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sets(tmp_path, monkeypatch)
    rows, labels = v5_windows.load("Lines")
    assert (rows.shape, labels.tolist().count(0)) == ((24, 130), 12)
    for known, names, asked, wanted in v5_windows.tasks(labels, np.random.default_rng(0), 5):
        assert not set(known) & set(asked) and (len(known), len(asked)) == (10, 14)
        assert len(set(labels[known[names == 0]])) == 1 and set(names) == set(wanted) == {0, 1}
    with pytest.raises(DataMissing, match="It is in the wheel of aeon"):
        v5_windows.load("Waves")


def test_lines_that_rise_are_told_from_those_that_fall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sets(tmp_path, monkeypatch)
    found = v5_windows.judged("Lines", 1, 3)
    assert {one: found[one]["mean"] for one in ("kernels", "window", "nearest")} == {
        "kernels": 100, "window": 100, "nearest": 100,
    }  # fmt: skip
    assert v5_windows.interval([[50.0, 100.0], [100.0, 50.0]]) == {"mean": 75.0, "interval": 24.5, "by_seed": [75, 75]}


PEOPLE = ("a", "b", "c", "d", *v5_spoken.UNSEEN)


def spoken() -> tuple[np.ndarray, np.ndarray]:
    """Digit and person of 16 recordings of each digit by each of six people."""
    labels, names = np.meshgrid(np.arange(10), np.repeat(PEOPLE, 16), indexing="ij")
    return labels.ravel(), names.ravel()


def test_voices_of_examples_and_queries_are_those_that_are_named() -> None:
    labels, names = spoken()
    for voices in v5_spoken.VOICES:
        for known, digits, asked, wanted in v5_spoken.tasks(voices, labels, names, 5):
            assert not set(known) & set(asked) and (len(known), len(asked)) == (50, 100)
            assert (labels[known] == digits).all() and (labels[asked] == wanted).all()
            taught, speaking = set(names[known]), set(names[asked])
            assert len(taught) == (5 if voices == "several" else 1) and len(speaking) == 1
            assert (taught == speaking) == voices.endswith("same")
            assert not voices.startswith("unseen") or taught | speaking <= set(v5_spoken.UNSEEN)


def test_the_cheapest_way_to_stretch_is_found() -> None:
    """Against the rule itself, cell by cell; and what is only slower costs nothing."""
    source = np.random.default_rng(0)
    some, others = source.normal(size=(2, 6, 3)), source.normal(size=(3, 6, 3))

    def cost(one: np.ndarray, other: np.ndarray) -> float:
        table = np.full((7, 7), np.inf)
        table[0, 0] = 0
        for row in range(6):
            for column in range(6):
                before = min(table[row, column], table[row, column + 1], table[row + 1, column])
                table[row + 1, column + 1] = ((one[row] - other[column]) ** 2).sum() + before
        return float(table[6, 6])

    wanted = [[cost(one, other) for other in others] for one in some]
    np.testing.assert_allclose(v5_spoken.stretched(some, others), wanted)
    slower = some[:1][:, [0, 0, 1, 2, 3, 4]]
    faster = some[:1][:, [0, 1, 2, 3, 4, 4]]
    assert abs(v5_spoken.stretched(slower, faster)[0, 0]) < 1e-9


def test_tones_are_told_by_every_voice_where_voices_are_alike() -> None:
    labels, names = spoken()
    source = np.random.default_rng(0)
    time = np.arange(1600) / v5_spoken.RATE
    samples = [0.5 * np.sin(2 * np.pi * (300 + 300 * label) * time * source.uniform(0.98, 1.02)) for label in labels]
    found = v5_spoken.judged("cepstra", samples, labels, names, 3)
    assert set(found) == set(v5_spoken.VOICES) and all(one["mean"] > 90 for one in found.values())
