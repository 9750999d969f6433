"""Small runs of every learner to their end, interrupted and not."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.workers.omniglot_archives import write_archives
from workers.recipes import v5
from workers.training.episodes import Points
from workers.training.learners import FineTuning
from workers.training.loop import Options
from workers.training.meta import LEARNERS, MetaConfig, answers, interval, joint_loss, learner_of, load, train

OPTIONS = Options(steps=4, batch_size=4, learning_rate=1e-2, evaluate_every=2, checkpoint_every=2)


def letters(**changes: object) -> MetaConfig:
    few = {"model": {"channels": (8, 8)}, "rank": 2, "embedding": 8, "ways": 3, "queries": 2, "options": OPTIONS}
    return dataclasses.replace(v5.omniglot(), **{**few, "validation_tasks": 5, "test_tasks": 25, **changes})  # type: ignore


def curves(**changes: object) -> MetaConfig:
    few = {"model": {"widths": (16, 16)}, "rank": 4, "embedding": 16, "options": OPTIONS}
    return dataclasses.replace(v5.curves(), **{**few, "validation_tasks": 30, "test_tasks": 30, **changes})  # type: ignore


@pytest.fixture(autouse=True)
def archives(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("data")
    write_archives(folder)
    monkeypatch.setenv("DATA_DIR", str(folder))


@pytest.mark.parametrize("learner", LEARNERS)
def test_letters_are_judged_between_alphabets_and_within(learner: str, tmp_path: Path) -> None:
    figures = train(letters(learner=learner), tmp_path, lambda said: None)
    assert figures == json.loads((tmp_path / "metrics.json").read_text())
    assert set(figures["test"]) == {"between", "within"} and figures["steps"] == 4
    assert figures["accuracy"] == figures["test"]["between"]["mean"] and figures["test"]["within"]["tasks"] == 25
    assert ("without_gradients" in figures) == (learner == "meta_lora")


@pytest.mark.parametrize("changes", [
    *({"learner": learner} for learner in LEARNERS if learner != "prototypes"),
    {"has_embedding": False}, {"is_modulated": False}, {"is_second_order": False}, {"steps_inside": 0},
], ids=str)  # fmt: skip
def test_curves_are_judged_by_squares(changes: dict[str, object], tmp_path: Path) -> None:
    figures = train(curves(**changes), tmp_path, lambda said: None)
    assert figures["test"]["test"]["mean"] < 0 and figures["best"]["score"] < 0


@pytest.mark.parametrize("config", [letters(), letters(learner="maml"), curves()], ids=["letters", "maml", "curves"])
def test_an_interrupted_run_ends_in_the_same_bits(config: MetaConfig, tmp_path: Path) -> None:
    whole = train(config, tmp_path / "whole", lambda said: None)
    assert train(config, tmp_path / "parts", lambda said: None, stop_at=3) == {}
    parts = train(config, tmp_path / "parts", lambda said: None)
    assert (parts["losses"], parts["test"]) == (whole["losses"], whole["test"])
    one, other = (torch.load(tmp_path / f"{name}/best.pt", weights_only=True) for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_learning_goes_on_over_the_steps(tmp_path: Path) -> None:
    options = Options(steps=150, batch_size=20, learning_rate=1e-2, evaluate_every=75)
    figures = train(curves(modes=2, options=options), tmp_path, lambda said: None)
    first, last = (np.mean(figures["losses"][part]) for part in (slice(10), slice(-10, None)))
    assert last < 0.6 * first


def test_fine_tuning_first_learns_all_classes_at_once() -> None:
    config = letters(learner="fine_tuning")
    parts = load(config)
    learner = learner_of(config, parts.classes)
    assert isinstance(learner, FineTuning) and learner.network.head.out_features == parts.classes == 36
    tasks = parts.train.draw(np.random.default_rng(0), 3)
    logits = learner.joint(tasks.queries.flatten(0, 1))
    wanted = tasks.classes.repeat_interleave(2, 1).flatten()  # the queries of a class stand together
    torch.testing.assert_close(joint_loss(learner, tasks, True), torch.nn.functional.cross_entropy(logits, wanted))


def test_learners_are_judged_on_the_same_tasks() -> None:
    """What is drawn does not depend on the seed of the training."""
    points = Points(2, 3, 4)
    one, other = (points.draw(np.random.default_rng(7919), 6) for _ in range(2))
    assert torch.equal(one.queries, other.queries)
    found = [answers(learner_of(curves(learner=name), 1), one, 1).shape for name in ("meta_lora", "maml")]
    assert found == [(6, 4, 1)] * 2


def test_an_interval_is_that_of_the_mean() -> None:
    each = torch.tensor([0.0, 1.0] * 200)
    assert interval(each) == {"mean": 0.5, "interval": round(1.96 * 0.500626 / 20, 5), "tasks": 400}


@pytest.mark.parametrize(("changes", "said"), [
    ({"learner": "reptile"}, "learner is one of meta_lora"), ({"data": "mnist"}, "data is one of omniglot, curves"),
    ({"data": "curves", "learner": "prototypes"}, "prototypes are of classes"),
])  # fmt: skip
def test_what_cannot_be_trained_is_refused(changes: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MetaConfig(**{"name": "x", "data": "omniglot", **changes})
