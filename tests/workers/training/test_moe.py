"""Whole runs of V3, tiny: an interruption changes no bit, and loads are counted and evened out."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from workers.training import moe
from workers.training.loop import Options
from workers.training.moe import MoeConfig, Text
from workers.training.recipe import load_recipe
from workers.zoo.v3_moe import V3, active_parameters, routers

SIZES = {"width": 16, "layers": 2, "heads": 2, "kv_heads": 1, "hidden": 8, "context": 16}
OPTIONS = Options(steps=6, batch_size=4, learning_rate=1e-2, evaluate_every=3, checkpoint_every=2)
CONFIG = MoeConfig("tiny", SIZES, length=16, options=OPTIONS)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    letters = np.frombuffer(b"to be or not to be, that is the question. " * 12, np.uint8).astype(np.int64)
    monkeypatch.setattr(moe, "load_text", lambda: Text(letters, letters[:100], letters[:100]))


def run(folder, config=CONFIG, stop_at=0):
    said = []
    return moe.train(config, folder, said.append, stop_at), said


@pytest.mark.parametrize("stop_at", [1, 3, 5])
def test_a_run_that_was_interrupted_ends_in_the_same_bits(tmp_path, stop_at):
    whole, _ = run(tmp_path / "whole")
    run(tmp_path / "parts", stop_at=stop_at)
    parts, said = run(tmp_path / "parts")

    assert said[0].step == stop_at + 1
    assert [parts[name] for name in ("losses", "evaluations", "bits")] == [
        whole[name] for name in ("losses", "evaluations", "bits")
    ]
    weights = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["model"] for name in ("whole", "parts")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())  # biases and loads too


def test_a_run_writes_what_it_takes_to_use_it(tmp_path):
    figures, _ = run(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())

    assert json.loads((tmp_path / "metrics.json").read_text()) == figures
    assert config["model"]["vocab_size"] == 257
    assert figures["bytes"] == 6 * 4 * 16
    assert figures["losses"][-1] < figures["losses"][0]
    assert figures["load_max"] >= 1.0


def test_biases_move_only_where_loads_are_to_be_evened_out(tmp_path):
    run(tmp_path / "even")
    run(tmp_path / "chance", dataclasses.replace(CONFIG, is_balanced=False))
    moved = []
    for name in ("even", "chance"):
        weights = torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)["model"]
        moved.append([bool(value.any()) for key, value in weights.items() if key.endswith("router.bias")])

    assert moved == [[True, True], [False, False]]


def test_the_dense_twin_has_no_load(tmp_path):
    figures, _ = run(tmp_path, dataclasses.replace(CONFIG, feed_forward="dense"))

    assert "load_cv" not in figures
    assert figures["parameters"] == figures["parameters_active"]


def test_activations_computed_again_train_alike(tmp_path):
    plain, _ = run(tmp_path / "plain")
    again, _ = run(
        tmp_path / "again", dataclasses.replace(CONFIG, options=dataclasses.replace(OPTIONS, checkpointing=True))
    )

    assert again["losses"] == plain["losses"]


def test_picks_are_counted_only_while_asked():
    model = moe.build(CONFIG).eval()
    ids = torch.zeros(1, 5, dtype=torch.long)
    with moe.picks_counted(model) as loads:
        model(ids)
    model(ids)

    assert [load.sum() for load in loads] == [10, 10]
    assert moe.load_figures([torch.tensor([2.0, 0.0]), torch.tensor([1.0, 1.0])]) == {"load_cv": 0.5, "load_max": 1.5}


def test_the_recipes_are_of_equal_active_size():
    recipes = [load_recipe(f"v3.shakespeare{more}") for more in ("", "_dense", "_unbalanced")]
    models = [moe.build(recipe) for recipe in recipes]
    sizes = [active_parameters(model) for model in models]

    routing = sum(router.fit.weight.numel() for router in routers(models[0]))
    assert sizes[0] == sizes[2] == sizes[1] + routing
    assert all(isinstance(model, V3) for model in models)
    assert recipes[2].sizes.balance_rate == 0.0


def test_another_kind_is_refused():
    with pytest.raises(ValueError, match="feed_forward is one of moe, dense, not sparse"):
        MoeConfig("tiny", SIZES, feed_forward="sparse")
