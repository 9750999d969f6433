"""Small runs on made-up pictures: what is learned, what is asked of a batch, when the bridge begins."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from workers.data import emoji, vocabulary
from workers.data.emoji import Emoji
from workers.recipes.v2 import emoji as recipe
from workers.training import retrieval
from workers.training.concepts import Concepts, encoded
from workers.training.loop import Options
from workers.training.retrieval import Finding, RetrievalConfig, alignment_weight, reranked, train
from workers.zoo.v2_cmab import CMAB

COLOURS = {"red": ("红", (200, 30, 30)), "green": ("绿", (30, 170, 50)), "blue": ("蓝", (40, 60, 220)),
           "grey": ("灰", (120, 120, 120))}  # fmt: skip
PLACES = {"left": ("左", slice(4, 30)), "right": ("右", slice(34, 60))}
WORDS = [*COLOURS, *PLACES]


def picture(colour: tuple[int, int, int], place: slice, shade: int) -> np.ndarray:
    made = np.full((64, 64, 3), 255, np.uint8)
    made[16:48, place] = np.clip(np.array(colour) + shade, 0, 255)
    return made


def made_up() -> list[Emoji]:
    return [
        Emoji(
            f"{n:X}{m:X}", {"en": f"{colour} {place}", "zh": hue + side}, {"en": (colour,), "zh": (hue,)},
            {"twitter": picture(rgb, where, 0), "google": picture(rgb, where, 12)}, 2 * n + m,
        )
        for n, (colour, (hue, rgb)) in enumerate(COLOURS.items())
        for m, (place, (side, where)) in enumerate(PLACES.items())
    ]  # fmt: skip


def tokenizer():
    made = vocabulary.words([*WORDS, *(hue for hue, _ in COLOURS.values()), *(side for side, _ in PLACES.values())])
    return made


def tiny(**changes: object) -> RetrievalConfig:
    config = recipe()
    model = {
        **config.model,
        "text_width": 16,
        "text_heads": 2,
        "text_hidden": 32,
        "space": 16,
        "width": 16,
    }
    options = Options(steps=8, batch_size=4, learning_rate=1e-3, evaluate_every=4, checkpoint_every=4)
    return dataclasses.replace(config, **{"model": model, "options": options, "begins": "scratch", **changes})  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emoji, "load", made_up)

    def setup(config: RetrievalConfig, seen: list[Emoji]):
        torch.manual_seed(config.options.seed)
        words = tokenizer()
        sizes = retrieval.V2Config(words.get_vocab_size(), retrieval.MobileNetConfig(), **config.model)
        return Finding(sizes, len(seen)), words

    monkeypatch.setattr(retrieval, "setup", setup)


def test_a_run_says_what_is_found_both_ways_of_each_vendor(tmp_path: Path) -> None:
    figures = train(tiny(), tmp_path, lambda said: None)
    assert figures == json.loads((tmp_path / "metrics.json").read_text())
    assert set(figures["test"]) == {f"{vendor}_{kind}" for vendor in emoji.VENDORS for kind in ("seen", "unseen")}
    found = figures["test"]["google_seen"]
    assert found["pictures"] == sum(not one.is_unseen for one in made_up())
    assert set(found["zh"]) == {"text_to_picture", "picture_to_text", "reranked"}
    assert figures["accuracy"] == found["en"]["text_to_picture"]["r1"]
    assert set(figures["evaluations"][-1]) == {"step", "score", "en_r1", "zh_r1", "agreement"}


def test_an_interrupted_run_ends_in_the_same_curve(tmp_path: Path) -> None:
    whole = train(tiny(), tmp_path / "whole", lambda said: None)
    assert train(tiny(), tmp_path / "parts", lambda said: None, stop_at=5) == {}
    parts = train(tiny(), tmp_path / "parts", lambda said: None)
    assert (parts["losses"], parts["test"]) == (whole["losses"], whole["test"])


def test_from_scratch_no_layer_stays_as_it_was_drawn(tmp_path: Path) -> None:
    config = tiny()
    options = dataclasses.replace(config.options, frozen=("cmab.pictures.network",))
    drawn = retrieval.setup(config, made_up())[0].state_dict()
    name = "cmab.pictures.network.features.0.0.weight"
    for begins, stays in (("scratch", False), ("pretrained", True)):
        train(dataclasses.replace(config, options=options, begins=begins), tmp_path / begins, lambda said: None)
        trained = torch.load(tmp_path / begins / "best.pt", weights_only=True)
        assert torch.equal(trained[name], drawn[name]) is stays


@torch.no_grad()
def test_before_the_first_step_names_are_at_their_pictures() -> None:
    model, words = retrieval.setup(tiny(), made_up())
    concepts = Concepts(made_up(), "twitter", words)
    found = []
    for times in (0, 3):
        if times:
            retrieval._approach(model.cmab, concepts, 64, times)
        pictures = retrieval.vectors_of_pictures(model.eval().cmab, concepts, 64)[0]
        texts = retrieval.vectors_of_texts(model.cmab, *concepts.names("en"))[0]
        found.append(float((texts * pictures).sum(1).mean()))  # cosines with their own
    assert abs(found[0]) < 0.4 and found[1] > 0.7


def test_the_bridge_waits_for_the_vectors() -> None:
    config = tiny()
    model, words = retrieval.setup(config, made_up())
    task = retrieval.Retrieval(config, model, Concepts(made_up(), "twitter", words))
    for step, is_trained in ((3, False), (4, True)):
        model.zero_grad()
        task.loss(step).backward()
        assert (model.cmab.bridge.match[-1].weight.grad is not None) is is_trained


def test_a_tower_that_stays_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(drawings=2)
    config = dataclasses.replace(config, options=dataclasses.replace(config.options, frozen=("cmab.pictures.network",)))
    model, words = retrieval.setup(config, made_up())
    task = retrieval.Retrieval(config, model, Concepts(made_up(), "twitter", words))
    monkeypatch.setattr(model.cmab.pictures.network, "forward", None)  # it is not asked again
    assert [[tuple(depth.shape) for depth in drawn] for drawn in task.drawn] == [
        [(8, 16, channels) for channels in (32, 96, 1280)]
    ] * 2
    task.loss(0).backward()
    assert model.cmab.pictures.vector[-1].weight.grad is not None


def test_what_was_seen_before_is_compared_too() -> None:
    """The whole loss is that of the batch alone, and half of that with everything for each side."""
    config = tiny(texts=2)
    model, words = retrieval.setup(config, made_up())
    task = retrieval.Retrieval(config, model, Concepts(made_up(), "twitter", words))
    torch.manual_seed(0)
    pictures, texts = (torch.nn.functional.normalize(torch.randn(count, 16), dim=-1) for count in (4, 2))
    batch = task.concepts.batch_of_step(0, 4, 0, 2)
    assert batch.ids.shape[0] == 2 and torch.equal(batch.same, torch.eye(4).bool()[:, :2])
    assert float(task._against_all(batch, pictures, texts)) == 0  # nothing was seen yet
    expected = 0.5 * (
        model.cmab.alignment(texts, pictures, batch.same.T) + model.cmab.alignment(pictures, texts, batch.same)
    )
    torch.testing.assert_close(task._against_all(batch, pictures, texts), expected)


def test_a_batch_has_what_is_alike_and_a_pass_has_everything_once() -> None:
    concepts = Concepts(made_up(), "twitter", tokenizer())
    batches = [concepts.batch_of_step(step, 4, seed=1) for step in range(2)]
    seen = torch.cat([batch.pixels for batch in batches])
    assert len({tuple(one.flatten().tolist()) for one in seen}) == 8
    assert all(torch.equal(batch.same, torch.eye(4).bool()) for batch in batches)


def test_one_picture_may_have_two_names() -> None:
    first, second, *others = made_up()
    twin = dataclasses.replace(second, pictures=first.pictures)
    same = Concepts([first, twin, *others], "twitter", tokenizer()).same
    assert same[0, 1] and same[1, 0] and int(same.sum()) == len(same) + 2


def test_losses_that_pull_apart_leave_more_to_the_vectors() -> None:
    assert [alignment_weight(cosine) for cosine in (1.0, 0.0, -1.0)] == [1.0, 1.5, 2.0]


def test_the_bridge_changes_the_order_of_the_first_sixteen_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "RERANKED", 2)
    model = CMAB(retrieval.V2Config(20, retrieval.MobileNetConfig(), **tiny().model)).eval()
    scores = torch.tensor([[0.1, 0.5, 0.6, 0.3], [0.9, 0.2, 0.1, 0.8]])
    with torch.no_grad():
        words, places = torch.randn(2, 3, 5, 16), torch.randn(4, 3, 16, 16)
        found = reranked(model, scores, words, places, torch.ones(2, 5))
    assert [set(row.topk(2).indices.tolist()) for row in found] == [{1, 2}, {0, 3}]
    assert torch.equal(found[0, [0, 3]], scores[0, [0, 3]])


def test_texts_are_filled_up_to_the_longest() -> None:
    ids, mask = encoded(tokenizer(), ["red", "red left"])
    assert mask.tolist() == [[1, 1, 0], [1, 1, 1]] and ids[0, 2] == 0


def test_another_beginning_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="begins is one of"):
        retrieval.checked(tiny(begins="nothing"))
