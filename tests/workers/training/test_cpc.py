"""Whole runs of V4, tiny: an interruption changes no bit, and what the probes say is right."""

import json
import math

import numpy as np
import pytest
import torch

from workers.data import cmapss
from workers.data.series import Series
from workers.training import characters, cpc, engines, sets, spoken
from workers.training.characters import CharactersConfig
from workers.training.cpc import CpcConfig
from workers.training.loop import Options
from workers.training.probe import Probe
from workers.training.recipe import changed, load_recipe
from workers.training.spoken import SpokenConfig
from workers.training.windows import Windows
from workers.zoo.trained import load_dc_cpc
from workers.zoo.v4_dc_cpc import DCCPC, V4Config

SIZES = {"width": 8, "layers": 1, "heads": 2, "hidden": 16, "window": 6, "space": 8, "horizons": 3}
OPTIONS = Options(steps=6, batch_size=3, learning_rate=1e-2, evaluate_every=3, checkpoint_every=2)
CONFIG = CpcConfig("tiny", "tiny", {**SIZES, "strides": (2,), "kernels": (2,)}, length=12, options=OPTIONS)


def waves(count=6, sensors=2):
    time = np.arange(60)[:, None]
    return [
        Series(f"wave {n}", np.sin(time / (2 + n) + np.arange(sensors)).astype(np.float32), n % 2, str(n))
        for n in range(count)
    ]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(sets._SETS, "tiny", lambda seed: sets.Set("tiny", "made up", "none", waves(), waves(2)))


def run(folder, config=CONFIG, stop_at=0):
    said = []
    return cpc.train(config, folder, said.append, stop_at), said


@pytest.mark.parametrize("stop_at", [1, 3, 5])
def test_a_run_that_was_interrupted_ends_in_the_same_bits(tmp_path, stop_at):
    whole, _ = run(tmp_path / "whole")
    run(tmp_path / "parts", stop_at=stop_at)
    parts, said = run(tmp_path / "parts")

    assert said[0].step == stop_at + 1
    assert [parts[name] for name in ("losses", "evaluations", "best")] == [
        whole[name] for name in ("losses", "evaluations", "best")
    ]
    weights = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts")]
    for name, value in weights[0]["model"].items():  # the running means too
        assert torch.equal(value, weights[1]["model"][name]), name


def test_a_run_writes_what_it_takes_to_use_it(tmp_path):
    figures, _ = run(tmp_path)
    model, config = load_dc_cpc(tmp_path)

    assert config["data"] == {"name": "tiny", "source": "made up", "licence": "none"}
    assert json.loads((tmp_path / "metrics.json").read_text()) == figures
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert torch.equal(model.predict.weight, best["model.predict.weight"])


@pytest.mark.parametrize(("change", "used"), [
    ({"weights": "first"}, 1.0), ({"weights": "last"}, 1.0), ({"weights": "uniform"}, 3.0),
])  # fmt: skip
def test_ablations_train(tmp_path, change, used):
    figures, _ = run(tmp_path, changed(CONFIG, change))

    assert figures["evaluations"][-1]["horizons_used"] == pytest.approx(used, abs=1e-4)


def test_what_is_not_known_is_refused(tmp_path):
    with pytest.raises(ValueError, match="weights is one of"):
        run(tmp_path, changed(CONFIG, {"weights": "some"}))
    with pytest.raises(ValueError, match="data is one of"):
        run(tmp_path, changed(CONFIG, {"data": "nothing"}))
    with pytest.raises(ValueError, match="features is one of"):
        CharactersConfig("x", SIZES, features="all")
    with pytest.raises(ValueError, match="split is one of"):
        spoken.load("other")


def test_recipes_are_there():
    assert changed(load_recipe("v4.nab"), {"weights": "last", "has_baseline": "false"}).has_baseline is False
    for name in ("cmapss", "fsdd", "fsdd_supervised", "characters"):
        assert load_recipe(f"v4.{name}").name.startswith("v4-")


def test_windows_follow_from_seed_and_step():
    windows = Windows(waves(), 5, 2, is_varied=True)
    first, again, other = (windows.batch_of_step(step, 4, 0) for step in (3, 3, 4))

    assert torch.equal(first.readings, again.readings) and torch.equal(first.period, again.period)
    assert not torch.equal(first.readings, other.readings)
    assert first.readings.shape == (4, 10, 2)


def test_a_short_series_is_missing_before_it_begins():
    windows = Windows([Series("short", np.ones((3, 1), np.float32))], 5, 2)
    batch = windows.batch_of_step(0, 1, 0)

    assert batch.seen[0, :, 0].tolist() == [0.0] * 7 + [1.0] * 3
    assert batch.readings[0, :, 0].tolist() == [0.0] * 7 + [1.0] * 3


def test_a_probe_is_logistic_regression():
    linear_model = pytest.importorskip("sklearn.linear_model")
    torch.manual_seed(0)
    features = torch.randn(200, 5)
    labels = (features @ torch.tensor([1.0, -2.0, 0.5, 0.0, 0.0]) + torch.randn(200) > 0).long()
    ours = Probe(features, labels, 2, penalty=0.01).logits(features).softmax(-1)[:, 1]
    scaled = (features - features.mean(0)) / features.std(0)
    # Two weight vectors that are each other's negative are penalised as one of half the difference.
    theirs = linear_model.LogisticRegression(C=2 / (200 * 0.01), tol=1e-8).fit(scaled, labels)

    assert ours.tolist() == pytest.approx(theirs.predict_proba(scaled)[:, 1].tolist(), abs=2e-3)


def engine(number, cycles=80):
    left = np.arange(cycles)[::-1].copy()
    worn = np.clip(1 - left / 60, 0, None)[:, None]
    source = np.random.default_rng(number)
    return cmapss.Engine(number, (worn + 0.05 * source.normal(size=(cycles, 2))).astype(np.float32), left)


def test_engines_are_judged_at_the_budget():
    everyone = [engine(number) for number in range(20)]
    found = engines.measured(engines.last, everyone[:8], everyone[8:14], everyone[14:18], everyone[18:])

    assert found["never"] == {"accuracy": pytest.approx(49 / 80), "cycles": 320}
    assert found["budget_3"]["false_alarm_rate"] <= 0.08
    assert found["budget_3"]["recall"] > 0.8
    assert found["budget_1"]["false_alarm_rate"] <= found["budget_3"]["false_alarm_rate"]
    assert found["budget_3"]["last_cycle"]["recall"] == 1.0


def test_smoothed_features_are_means_of_the_last_cycles():
    found = engines.smoothed(cmapss.Engine(1, np.arange(20, dtype=np.float32)[:, None], np.arange(20)[::-1]))

    assert found[:3].tolist() == [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
    assert found[19].tolist() == [12.0, 12.0 - 2.0]


def test_thirds_of_a_recording_are_pooled_without_what_is_after():
    states = torch.tensor([[[1.0], [2.0], [3.0], [90.0]]])

    assert spoken.pooled(states, torch.tensor([3])).tolist() == [[1.0, 2.0, 3.0, 3.0]]


def recordings(count=12):
    source = np.random.default_rng(0)
    return [
        Series(f"r{n}", source.normal(size=(10 + n, 3)).astype(np.float32) + n % 10, n % 10, "somebody")
        for n in range(count)
    ]


def test_a_recording_says_the_same_alone_and_beside_longer_ones():
    torch.manual_seed(0)
    model = DCCPC(V4Config(3, **SIZES)).eval()
    together, digits = spoken.features(model, recordings(), 64)
    alone = torch.cat([spoken.features(model, [one], 64)[0] for one in recordings()])

    assert digits.tolist() == [n % 10 for n in range(12)]
    assert torch.allclose(together, alone, atol=1e-5)


def test_few_labels_are_of_each_digit():
    found = spoken.Spoken(recordings(100), [], []).few(0.2, 0)

    assert sorted(one.label for one in found) == sorted([*range(10)] * 2)


def test_a_listener_trains(tmp_path, monkeypatch):
    monkeypatch.setattr(spoken, "load", lambda split: spoken.Spoken(recordings(40), recordings(10), recordings(10)))
    monkeypatch.setattr(spoken.fsdd, "BANDS", 3)
    config = SpokenConfig("tiny", SIZES, options=Options(steps=30, batch_size=8, learning_rate=1e-2, evaluate_every=10))
    figures = spoken.train(config, tmp_path, lambda said: None)

    assert figures["losses"][-1] < figures["losses"][0]
    assert figures["labels"] == 40


@pytest.fixture
def shakespeare(tmp_path, monkeypatch):
    (tmp_path / "text").mkdir()
    (tmp_path / "text/tinyshakespeare.txt").write_text("to be or not to be, that is the question. " * 100)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))


@pytest.mark.parametrize("features", characters.FEATURES)
def test_letters_are_read_with_and_without_features(tmp_path, shakespeare, features):
    options = Options(steps=20, batch_size=4, learning_rate=1e-2, evaluate_every=10)
    config = CharactersConfig("tiny", {**SIZES, "strides": (1,), "kernels": (1,)}, features, 16, options, OPTIONS)
    figures = characters.train(config, tmp_path / features, lambda said: None)

    assert figures["losses"][-1] < figures["losses"][0]
    assert (tmp_path / features / "cpc/best.pt").exists() == (features == "cpc")
    assert figures["parameters_learned"] < figures["parameters"] or features == "none"


def test_bits_of_a_reader_that_knows_nothing_are_the_alphabet():
    reader = characters.Reader(V4Config(8, **{**SIZES, "strides": (1,), "kernels": (1,)}), None).eval()
    for parameter in reader.head.parameters():
        torch.nn.init.zeros_(parameter)

    assert characters.bits_of(reader, np.zeros(100, np.int64), 16) == pytest.approx(math.log2(8))
