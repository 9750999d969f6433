"""The job that trains: its curve, its errors, and all of it on a tiny corpus."""

import io
import json
import math

import numpy as np
import pytest

from contracts.messages import JobRequest
from workers.data import corpus as corpora
from workers.data import vocabulary
from workers.data.corpus import Corpus
from workers.jobs import export_bridge, train
from workers.jobs.report import JobError, Report
from workers.jobs.train import Curve
from workers.training import classify, moe, watch
from workers.training.classify import ClassifyConfig
from workers.training.loop import Options, State
from workers.training.progress import Said
from workers.training.questions import QuestionsConfig

MODEL = {
    "width": 32,
    "layers": 1,
    "heads": 2,
    "hidden": 32,
    "window": 8,
    "summaries": 4,
    "levels": 1,
    "global_tokens": 1,
}


def heard(pipe):
    return [json.loads(line) for line in pipe.getvalue().splitlines()]


def request(**arguments):
    return JobRequest("1", "train", {"name": "tiny", "title": "Tiny", "recipe": "v1.sst2", **arguments})


def test_the_curve_has_300_points_at_most_and_every_evaluation():
    pipe = io.StringIO()
    curve = Curve(ClassifyConfig("t", "t", MODEL, options=Options(steps=2000, evaluate_every=333)), Report(pipe))
    for step in range(1, 2001):
        curve.say(Said(step, 2000, 1.0 / step, 4.0, 2000 - step, {"score": 0.5} if step % 333 == 0 else {}))
    entries = [data for event, data in heard(pipe) if event == "progress"]

    assert 285 <= len(entries) <= 300
    assert entries[0] == {
        "stage": "training", "fraction": 0.003, "step": 7, "steps": 2000, "loss": 0.14286, "rate": 4.0,
        "seconds_left": 1993, "figures": {},
    }  # fmt: skip
    assert [entry["step"] for entry in entries if entry["figures"]] == [333, 666, 999, 1332, 1665, 1998]
    assert entries[-1]["step"] == 2000


def test_evaluations_are_thinned_too():
    pipe = io.StringIO()
    curve = Curve(ClassifyConfig("t", "t", MODEL, options=Options(steps=1500, evaluate_every=1)), Report(pipe))
    state = State(1500, [0.5] * 1500, [{"step": step, "score": 0.5} for step in range(1, 1501)])
    curve.repeat(state)
    entries = [data for event, data in heard(pipe) if event == "progress"]

    assert [entry["step"] for entry in entries] == list(range(5, 1501, 5))
    assert all(entry["figures"]["step"] == entry["step"] for entry in entries)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"recipe": "v1.nothing"}, "no recipe"),
        ({"changes": {"colour": 1}}, "no colour"),
        ({"changes": {"steps": 0}}, "at least 1"),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_sentence(tmp_path, arguments, said):
    with pytest.raises(JobError, match=said):
        train.run(request(**arguments), tmp_path, Report(io.StringIO()))


def test_a_data_set_that_is_absent_is_said_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    with pytest.raises(JobError, match="DATA_DIR"):
        train.run(request(), tmp_path, Report(io.StringIO()))


@pytest.mark.slow
def test_a_job_trains_and_publishes(tmp_path, monkeypatch):
    examples = [(f"so it was {('bad', 'good')[n % 2]} film", n % 2) for n in range(60)]
    corpus = Corpus("tiny", ("no", "yes"), examples, examples, examples, "made up", "none needed")
    options = Options(steps=30, batch_size=16, learning_rate=1e-2, evaluate_every=15)
    recipe = ClassifyConfig("tiny", "tiny", MODEL, longest=32, options=options)
    monkeypatch.setattr(train, "load_recipe", lambda name: recipe)
    monkeypatch.setattr(corpora, "load", lambda name: corpus)
    words = vocabulary.words(("good", "bad", "film", "so", "it", "was"))
    monkeypatch.setattr(classify, "_tokenizer", lambda config, texts: (words, None))
    (tmp_path / "job").mkdir()
    pipe = io.StringIO()

    result = train.run(request(changes={"seed": 2}), tmp_path / "job", Report(pipe))

    manifest = json.loads((tmp_path / result["artifact"] / "manifest.json").read_text())
    assert manifest["source"]["seed"] == 2 and manifest["metrics"] == result["metrics"]
    assert result["metrics"]["accuracy"] == 1.0
    fractions = [data["fraction"] for _, data in heard(pipe)]
    assert fractions == sorted(fractions)


@pytest.mark.slow
def test_a_job_trains_a_bridge_and_publishes_its_three_graphs(tmp_path, monkeypatch):
    picture = {"blocks": (1, 1, 1), "width": 8, "expansion": 1, "strides": (2, 2, 2), "is_pooled": False}
    model = {"picture": picture, "text_width": 16, "text_layers": 3, "text_hidden": 16, "positions": 16, "space": 16,
             "width": 16, "heads": 2, "grid": 4}  # fmt: skip
    options = Options(steps=6, batch_size=8, evaluate_every=3)
    recipe = QuestionsConfig("tiny", model, train_pictures=32, held_back_pictures=16, options=options)
    monkeypatch.setattr(train, "load_recipe", lambda name: recipe)
    monkeypatch.setattr(export_bridge, "_TEST_PICTURES", 20)
    (tmp_path / "job").mkdir()

    result = train.run(request(recipe="v2.sort_of_clevr", tolerance=100.0), tmp_path / "job", Report(io.StringIO()))

    artifact = tmp_path / result["artifact"]
    manifest = json.loads((artifact / "manifest.json").read_text())
    assert manifest["task"] == "visual-question-answering" and manifest["metrics"] == result["metrics"]
    assert len(list(artifact.glob("*.onnx"))) == 3


@pytest.mark.slow
def test_a_job_trains_a_mixture_and_publishes_what_chats(tmp_path, monkeypatch):
    letters = np.frombuffer(b"to be or not to be, that is the question. " * 12, np.uint8).astype(np.int64)
    monkeypatch.setattr(moe, "load_text", lambda: moe.Text(letters, letters[:100], letters[:100]))
    monkeypatch.setattr(watch, "_EVERY", 0.0)
    sizes = {"width": 32, "layers": 1, "heads": 2, "kv_heads": 1, "hidden": 16, "context": 64}
    options = Options(steps=8, batch_size=4, learning_rate=1e-2, evaluate_every=4)
    recipe = moe.MoeConfig("v3-tiny", sizes, length=16, options=options)
    monkeypatch.setattr(train, "load_recipe", lambda name: recipe)
    (tmp_path / "job").mkdir()
    pipe = io.StringIO()

    result = train.run(request(recipe="v3.tiny", precision="fp32"), tmp_path / "job", Report(pipe))

    manifest = json.loads((tmp_path / result["artifact"] / "manifest.json").read_text())
    assert (manifest["task"], manifest["name"]) == ("text-generation", "tiny")
    assert manifest["source"]["training"] == "python -m workers.training.moe --recipe v3.tiny --out RUN"
    told = [data for event, data in heard(pipe) if "step" in data]
    assert [one["step"] for one in told if one["figures"]] == [4, 8]
    assert told[-1]["figures"]["loss"] == pytest.approx(told[-1]["figures"]["bits"] * math.log(2), abs=1e-4)
    (rank,) = told[-1]["ranks"]
    assert (rank["rank"], rank["step"], round(sum(rank["load"]["0"]), 2)) == (0, 8, 1.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"recipe": "v1.sst2", "mesh": {"dp": 2, "pp": 1, "ep": 1, "micro_batches": 1}}, "Only mixtures of experts"),
        ({"recipe": "v3.shakespeare", "mesh": {"dp": 3, "pp": 1, "ep": 1, "micro_batches": 1}}, "does not divide"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused_before_it_begins(tmp_path, monkeypatch, arguments, said):
    monkeypatch.setattr(train, "_check_memory", lambda *given: None)
    with pytest.raises(JobError, match=said):
        train.run(request(**arguments), tmp_path, Report(io.StringIO()))
