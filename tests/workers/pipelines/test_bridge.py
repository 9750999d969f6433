"""The bridge as it is served: pairs, explanations and answers, with the model itself as the reference."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from contracts.messages import InferenceRequest, RevisionSpec
from tests.workers import toy_bridge
from tests.workers.pipelines.test_zero_shot_image_classification import halves, png, vectors_of
from workers.backends.base import BackendError
from workers.engine.cores import Cores
from workers.engine.output import ListSink
from workers.pipelines import visual_question_answering, zero_shot_image_classification
from workers.pipelines.encoder_loading import Machine
from workers.pipelines.image_processor import ImageProcessor
from workers.zoo.v2_cmab import Fused

pytestmark = [pytest.mark.integration]
PICTURES = [halves("red", "blue", (16, 16)), halves("green", "white", (40, 20)), halves("black", "red", (20, 30))]


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_bridge.build(tmp_path_factory.mktemp("questions"), has_answers=True)


@pytest.fixture(scope="module")
def pairs(questions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_bridge.without_answers(questions, tmp_path_factory.mktemp("pairs") / "pairs")


def answers(pipeline: Any, artifact: Path, *inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """RESULT or ERROR of each."""
    sink = ListSink()
    spec = RevisionSpec("m@1", "m", pipeline.TASK, str(artifact), "d" * 64, max_batch_size=4)
    engine = pipeline.load_engine(artifact, spec, sink, Machine(cores=Cores(2), budget=0.2))
    engine.start()
    for number, one in enumerate(inputs):
        engine.submit(InferenceRequest(str(number), "m", pipeline.TASK, one)).result(30)
    engine.close()
    return [sink.of(str(number))[0].data for number in range(len(inputs))]


def reference(artifact: Path, picture: Image.Image, text: str) -> Fused:
    from tokenizers import Tokenizer

    manifest = json.loads((artifact / "manifest.json").read_text())
    ids = torch.tensor([Tokenizer.from_file(str(artifact / "tokenizer.json")).encode(text).ids])
    pixels = torch.from_numpy(ImageProcessor(manifest["processor"])(picture))[None]
    with torch.no_grad():
        return toy_bridge.model(len(toy_bridge.ANSWERS))(pixels, ids, torch.ones_like(ids))[2]


def test_pairs_are_judged_as_the_model_judges_them(pairs: Path) -> None:
    images = [png(one) for one in PICTURES]
    one, each, seen, read = answers(
        zero_shot_image_classification, pairs, {"images": images, "texts": ["a red thing"]},
        {"images": images, "texts": ["blue", "the left", "红"]}, {"images": images}, {"texts": ["blue"]},
    )  # fmt: skip
    assert set(one) == {"matches"}
    wanted = [float(reference(pairs, picture, "a red thing").match) for picture in PICTURES]
    np.testing.assert_allclose(one["matches"], wanted, atol=1e-4)
    wanted = [
        float(reference(pairs, picture, text).match)
        for picture, text in zip(PICTURES, ["blue", "the left", "红"], strict=True)
    ]
    np.testing.assert_allclose(each["matches"], wanted, atol=1e-4)
    assert vectors_of(seen).shape == (3, 12) and vectors_of(read).shape == (1, 12)


def test_an_explanation_says_where_each_word_looks_and_what_it_adds(pairs: Path) -> None:
    text = "a red thing"
    [found] = answers(
        zero_shot_image_classification, pairs, {"images": [png(PICTURES[0])], "texts": [text], "explain": True}
    )
    assert found["grid"] == 4
    assert [text[word["start"] : word["end"]] for word in found["words"]] == ["a", "red", "thing"]
    whole = reference(pairs, PICTURES[0], text)
    first = whole.looked.shape[1] - 3  # behind [CLS]
    for number, word in enumerate(found["words"]):
        np.testing.assert_allclose(word["map"], whole.looked[0, first + number], atol=1e-3)
    for word, rest in zip(found["words"], ["red thing", "a thing", "a red"], strict=True):
        lacking = float(reference(pairs, PICTURES[0], rest).match)
        assert word["weight"] == pytest.approx(float(whole.match) - lacking, abs=1e-3)


def test_a_question_is_answered_with_shares(questions: Path) -> None:
    picture, text = PICTURES[1], "is the red thing left"
    plain, explained = answers(
        visual_question_answering, questions, {"images": [png(picture)], "texts": [text]},
        {"images": [png(picture)], "texts": [text], "explain": True},
    )  # fmt: skip
    shares = reference(questions, picture, text).answers[0].softmax(-1)
    best = shares.argsort(descending=True).tolist()
    assert [label for label, _ in plain["answers"][0]] == [toy_bridge.ANSWERS[place] for place in best]
    np.testing.assert_allclose([share for _, share in plain["answers"][0]], shares[best], atol=1e-3)
    assert explained["answers"] == plain["answers"] and len(explained["words"]) == 5


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"images": [png(one) for one in PICTURES], "texts": ["a", "red"]},
         "texts: must be one, or as many as the 3 images"),
        ({"images": [png(one) for one in PICTURES], "texts": ["a"], "explain": True},
         "explain: takes one picture and one text"),
        ({"images": [png(PICTURES[0])], "texts": []}, "texts: must be a list of strings"),
        ({"images": ["no"], "texts": ["a"]}, "images.0: is not base64"),
    ],
)  # fmt: skip
def test_what_is_no_pair_is_refused(pairs: Path, inputs: dict[str, Any], message: str) -> None:
    [error] = answers(zero_shot_image_classification, pairs, inputs)
    assert (error["type"], error["message"]) == ("invalid_request", message)


def test_a_question_needs_its_picture(questions: Path) -> None:
    [error] = answers(visual_question_answering, questions, {"texts": ["is red left"]})
    assert error["message"] == "images: must be a list of base64 strings"


def test_answers_without_a_bridge_are_no_model(pairs: Path, tmp_path: Path) -> None:
    manifest = json.loads((pairs / "manifest.json").read_text()) | {
        "task": "visual-question-answering",
        "labels": ["a"],
    }
    del manifest["models"]["bridge"]
    for file in pairs.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BackendError, match="names no bridge under models"):
        answers(visual_question_answering, tmp_path, {"texts": ["a"]})
