"""Teaching and asking as they are served, with the model itself as the reference."""

import base64
import json
import math
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from contracts.messages import Event, InferenceRequest, RevisionSpec
from tests.workers import toy_lessons
from workers.backends.base import BackendError
from workers.engine.cores import Cores
from workers.engine.encoder import EncoderEngine
from workers.engine.output import ListSink
from workers.export import few_shot
from workers.pipelines import few_shot_classification as pipeline
from workers.pipelines.encoder_loading import Machine

pytestmark = pytest.mark.integration

SHAPES = ["red square", "one large red square", "square small left", "two square", "circle", "blue circle right",
          "small circle one", "large circle two green", "dot", "green dot", "one dot left right"]  # fmt: skip
LABELS = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
COLOURS = ["red", "red one", "blue", "blue dot left"]
ASKED = ["large square", "a blue circle two left right small", "dot dot", "green"]


@pytest.fixture(scope="module")
def adapts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_lessons.build(tmp_path_factory.mktemp("adapts"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_lessons.build(tmp_path_factory.mktemp("plain"), toy_lessons.base(0))


def engine_of(artifact: Path, sink: ListSink, batch: int = 8) -> EncoderEngine:
    spec = RevisionSpec("m@1", "m", pipeline.TASK, str(artifact), "d" * 64, max_batch_size=batch)
    return pipeline.load_engine(artifact, spec, sink, Machine(cores=Cores(2), budget=0.2))


def said(artifact: Path, *inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """RESULT or ERROR of each; all are there before the first is begun, so they share batches."""
    sink = ListSink()
    engine = engine_of(artifact, sink)
    waiting = [engine.submit(InferenceRequest(str(at), "m", pipeline.TASK, one)) for at, one in enumerate(inputs)]
    engine.start()
    wait(waiting, 60)
    engine.close()
    return [
        next(one.data for one in sink.of(str(at)) if one.event in (Event.RESULT, Event.ERROR))
        for at in range(len(inputs))
    ]


def lesson(texts: list[str], labels: list[int]) -> dict[str, Any]:
    return {"texts": texts, "adapt": {"labels": labels, "classes": max(labels) + 1}}


def ids_of(artifact: Path, texts: list[str]) -> torch.Tensor:
    rows = [one.ids for one in Tokenizer.from_file(str(artifact / "tokenizer.json")).encode_batch_fast(texts)]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, found in zip(ids, rows, strict=True):
        row[: len(found)] = torch.tensor(found)
    return ids


def array(adapter: dict[str, Any], name: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(adapter[name]), kind).astype(np.float32)


@torch.no_grad()
def test_an_adapter_is_what_the_model_makes_of_the_examples(adapts: Path) -> None:
    model = toy_lessons.model()
    y = torch.eye(3)[torch.tensor(LABELS)]
    strengths, weight, _bias = model(ids_of(adapts, SHAPES), y)
    (found,) = said(adapts, lesson(SHAPES, LABELS))
    adapter = found["adapter"]
    np.testing.assert_allclose(array(adapter, "strengths", "<f4"), strengths.numpy(), atol=1e-4)
    centres = array(adapter, "centres", "<f2").reshape(3, -1)
    np.testing.assert_allclose(2 * model.sharpness.exp().item() * centres, weight.numpy(), atol=5e-3)


@torch.no_grad()
def test_answers_are_those_of_the_model(adapts: Path) -> None:
    model = toy_lessons.model()
    y = torch.eye(3)[torch.tensor(LABELS)]
    strengths, weight, bias = model(ids_of(adapts, SHAPES), y)
    (taught,) = said(adapts, lesson(SHAPES, LABELS))
    (told,) = said(adapts, {"texts": ASKED, "adapter": taught["adapter"]})
    logits = model.base(ids_of(adapts, ASKED), strengths) @ weight.T + bias
    sharper = taught["adapter"]["sharpness"] / model.sharpness.exp().item()
    wanted = (logits * sharper).softmax(-1).numpy()
    np.testing.assert_allclose([one["shares"] for one in told["items"]], wanted, atol=5e-3)


def test_leaving_out_is_learning_without_it(plain: Path) -> None:
    """With frozen strengths: each example against the means of the others, one adaptation each."""
    everywhere = range(len(SHAPES))
    without = [[at for at in everywhere if at != place] for place in everywhere]
    lessons = [lesson([SHAPES[at] for at in others], [LABELS[at] for at in others]) for others in without]
    whole, *taught = said(plain, lesson(SHAPES, LABELS), *lessons)
    asked = ({"texts": [text], "adapter": one["adapter"]} for text, one in zip(SHAPES, taught, strict=True))
    guesses = [int(np.argmax(told["items"][0]["shares"])) for told in said(plain, *asked)]
    report = whole["report"]
    different = sum(a != b for a, b in zip(report["guesses"], guesses, strict=True))
    assert different <= 1  # the mean of one example less lies further off, which the report takes away
    assert report["judged"] == 11 and sum(map(sum, report["confusion"])) == 11
    assert report["right"] == sum(row[place] for place, row in enumerate(report["confusion"]))
    assert report["low"] < report["right"] / 11 < report["high"]


def test_requests_of_many_classifiers_share_a_batch_and_say_what_they_say_alone(adapts: Path) -> None:
    shapes, colours = said(adapts, lesson(SHAPES, LABELS), lesson(COLOURS, [0, 0, 1, 1]))
    asked = [
        {"texts": ASKED, "adapter": shapes["adapter"]},
        {"texts": ASKED, "adapter": colours["adapter"]},
        lesson(COLOURS, [0, 0, 1, 1]),
        {"texts": ["two green"], "adapter": shapes["adapter"]},
    ]
    together = said(adapts, *asked)
    alone = [said(adapts, one)[0] for one in asked]
    for one, other in zip(together, alone, strict=True):
        for mine, theirs in zip(one.get("items", []), other.get("items", []), strict=True):
            np.testing.assert_allclose(mine["shares"], theirs["shares"], atol=2e-4)
    strengths = [array(one["adapter"], "strengths", "<f4") for one in (together[2], alone[2])]
    np.testing.assert_allclose(*strengths, atol=1e-4)
    assert [one["shares"] for one in together[0]["items"]] != [one["shares"] for one in together[1]["items"]]


def test_classes_of_one_example_are_learned_and_not_judged(plain: Path) -> None:
    (found,) = said(plain, lesson(["red", "blue"], [0, 1]))
    report = found["report"]
    assert (report["judged"], report["guesses"], report["shares"]) == (0, [None, None], [None, None])
    assert found["adapter"]["threshold"] is None
    (told,) = said(plain, {"texts": ["red", "left"], "adapter": found["adapter"]})
    assert [one["is_none"] for one in told["items"]] == [False, False]
    assert told["items"][0]["shares"][0] > 0.5 and told["items"][0]["distance"] is None


def test_what_is_far_from_all_classes_is_none_of_them(plain: Path) -> None:
    texts, labels = ["red square", "red square one", "red square two", "red square one two"], [0, 0, 0, 0]
    texts, labels = [*texts, "blue dot", "blue dot one", "blue dot two", "blue dot one two"], [*labels, 1, 1, 1, 1]
    (found,) = said(plain, lesson(texts, labels))
    (told,) = said(plain, {"texts": ["red square two one", "green left right circle"], "adapter": found["adapter"]})
    near, far = told["items"]
    assert not near["is_none"] and far["is_none"] and near["distance"] < 1 < far["distance"]
    assert math.isclose(found["report"]["rejected"], 1 / 9, abs_tol=1e-4)


def test_another_adapter_is_refused(adapts: Path, plain: Path) -> None:
    (found,) = said(plain, lesson(COLOURS, [0, 0, 1, 1]))
    own = found["adapter"]
    other = said(adapts, lesson(COLOURS, [0, 0, 1, 1]))[0]["adapter"]
    asked = {
        "the adapter was made for another model. Teach the classifier again.": other,
        "the adapter is damaged: its checksum is another": own | {"sharpness": 99.0},
        "the adapter is damaged: it is not one": {"centres": "AAAA"},
    }
    answers = said(plain, *({"texts": ["red"], "adapter": one} for one in asked.values()))
    assert [one["message"] for one in answers] == list(asked)
    (none,) = said(plain, {"texts": ["red"]})
    assert none["type"] == "invalid_request"


@pytest.mark.parametrize(
    ("adapt", "message"),
    [
        ({"labels": [0, 0], "classes": 1}, "classes: must be between 2 and 20, got 1"),
        ({"labels": [0], "classes": 2}, "labels: must be a class for each example"),
        ({"labels": [0, 2], "classes": 2}, "labels: must be a class for each example"),
        ({"labels": [0, 0], "classes": 2}, "labels: every class needs 1 to 20 examples"),
        (None, "classes: must be between 2 and 20, got None"),
    ],
)
def test_a_lesson_that_cannot_be_is_refused(plain: Path, adapt: Any, message: str) -> None:
    (found,) = said(plain, {"texts": ["red", "blue"], "adapt": adapt})
    assert found["message"] == message


def test_a_manifest_that_does_not_do_is_told(plain: Path, tmp_path: Path) -> None:
    manifest = json.loads((plain / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "reads": "smells"}))
    with pytest.raises(BackendError, match="reads smells; known: texts, images"):
        engine_of(tmp_path, ListSink())


def test_another_model_is_noticed(adapts: Path) -> None:
    other = toy_lessons.model()
    torch.nn.init.normal_(other.generate.bias)
    with pytest.raises(few_shot.ExportError, match="modulate.onnx differs from the original"):
        few_shot.compare(other, adapts)
