"""Small runs to their end, interrupted and not; which questions a step asks; when depths open."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from workers.data import sort_of_clevr
from workers.data.sort_of_clevr import QUESTIONS
from workers.recipes.v2 import sort_of_clevr as recipe
from workers.training.fusion import opened
from workers.training.loop import Options
from workers.training.questions import Asking, Questions, QuestionsConfig, lesson, tokenizer_of, train

TOKENIZER = tokenizer_of()


def tiny(**changes: object) -> QuestionsConfig:
    config = recipe()
    picture = {**config.model["picture"], "width": 8}
    model = {**config.model, "picture": picture, "text_width": 16, "text_hidden": 16, "space": 8, "width": 16}
    options = Options(steps=6, batch_size=4, learning_rate=1e-3, evaluate_every=3, checkpoint_every=3)
    changed = {"model": model, "options": options, "train_pictures": 12, "held_back_pictures": 4, **changes}
    return dataclasses.replace(config, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [{}, {"network": "plain"}, {"is_shared": False}, {"opens_by": 0.0}],
    ids=["bridge", "plain", "two", "at once"],
)
def test_a_run_says_how_well_both_kinds_are_answered(changes: dict[str, object], tmp_path: Path) -> None:
    figures = train(tiny(**changes), tmp_path, lambda said: None)
    assert figures == json.loads((tmp_path / "metrics.json").read_text())
    assert figures["steps"] == 6 and set(figures["test"]) == {"score", "relational", "non_relational"}
    assert figures["accuracy"] == (figures["test"]["relational"] + figures["test"]["non_relational"]) / 2


def test_an_interrupted_run_ends_in_the_same_curve(tmp_path: Path) -> None:
    whole = train(tiny(), tmp_path / "whole", lambda said: None)
    assert train(tiny(), tmp_path / "parts", lambda said: None, stop_at=4) == {}
    parts = train(tiny(), tmp_path / "parts", lambda said: None)
    assert (parts["losses"], parts["test"]) == (whole["losses"], whole["test"])


def test_a_step_asks_of_each_kind_half_and_no_question_twice() -> None:
    questions = Questions(sort_of_clevr.load(8, 0), TOKENIZER)
    batch = questions.batch_of_step(0, 4, Asking(2, 2), seed=0)
    assert batch.pixels.shape == (4, 3, 64, 64) and batch.picture.tolist() == [n for n in range(4) for _ in range(4)]
    texts = {one.text: one for one in QUESTIONS}
    asked = [texts[TOKENIZER.decode([n for n in row.tolist() if n]).removeprefix("[CLS]").strip()] for row in batch.ids]
    assert [sum(one.is_relational for one in asked[n : n + 4]) for n in range(0, 16, 4)] == [2] * 4
    assert float(batch.pixels.min()) >= -1 and float(batch.pixels.max()) <= 1


@pytest.mark.parametrize("kinds", [("shape",), ("shape", "side")])
def test_only_the_kinds_that_are_wanted_are_asked(kinds: tuple[str, ...]) -> None:
    questions = Questions(sort_of_clevr.load(30, 0), TOKENIZER)
    batch = questions.batch_of_step(0, 30, Asking(4, 0, kinds), 0)
    number = {tuple(row.tolist()): one.kind for row, one in zip(questions.ids, QUESTIONS, strict=True)}
    assert {number[tuple(row.tolist())] for row in batch.ids} == set(kinds)
    asked = batch.picture.bincount(minlength=30)
    assert int(asked.max()) == 4 and (len(kinds) == 1 or int(asked.min()) == 4)


def test_lessons_end_with_everything() -> None:
    config = tiny(lessons=(0.3, 0.6), asked=4, relational=3)
    asked = [lesson(config, step) for step in range(6)]
    assert asked == [Asking(4, 0, ("shape",))] * 2 + [Asking(4, 0)] * 2 + [Asking(1, 3)] * 2
    assert lesson(tiny(lessons=(0.0, 0.0), asked=4, relational=2), 0) == Asking(2, 2)


def test_answers_stay_with_their_pictures() -> None:
    asked = sort_of_clevr.load(6, 4)
    questions = Questions(asked, TOKENIZER)
    batch = questions.batch([5, 2], [[5 * 20, 5 * 20 + 19], [2 * 20 + 7]])
    assert batch.answers.tolist() == [asked.answer[100], asked.answer[119], asked.answer[47]]
    assert batch.picture.tolist() == [0, 0, 1]
    assert torch.equal(batch.pixels[1], torch.from_numpy(asked.pictures[2]).permute(2, 0, 1).float() / 127.5 - 1)


def test_a_pass_takes_each_picture_once() -> None:
    questions = Questions(sort_of_clevr.load(12, 0), TOKENIZER)
    seen = torch.cat([questions.batch_of_step(step, 4, Asking(1, 1), seed=1).pixels for step in range(3)])
    assert len({tuple(one.flatten().tolist()) for one in seen}) == 12


def test_depths_open_one_after_the_other() -> None:
    assert [opened(step, 100, 0.3) for step in (0, 5, 10, 25, 30, 99)] == [0.0, 0.5, 1.0, 2.5, 3.0, 3.0]
    assert opened(0, 100, 0.0) == 3.0


def test_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="network is one of bridge, plain"):
        train(tiny(network="deep"), tmp_path, lambda said: None)
