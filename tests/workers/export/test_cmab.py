"""The three graphs of V2 beside the model, by themselves and as they are served."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer

from contracts.messages import InferenceRequest, RevisionSpec
from tests.workers import toy_bridge
from workers.engine.cores import Cores
from workers.engine.output import ListSink
from workers.export import cmab
from workers.export.source import ExportError
from workers.pipelines import zero_shot_image_classification as pipeline
from workers.pipelines.encoder_loading import Machine
from workers.pipelines.image_processor import ImageProcessor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_bridge.build(tmp_path_factory.mktemp("bridge"))


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_bridge.build(tmp_path_factory.mktemp("questions"), has_answers=True)


def graphs(artifact: Path) -> dict[str, onnxruntime.InferenceSession]:
    return {part: onnxruntime.InferenceSession(artifact / file) for part, file in manifest(artifact)["models"].items()}


def manifest(artifact: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((artifact / "manifest.json").read_text())
    return found


@pytest.mark.parametrize(("count", "words"), [(1, 3), (2, 9), (5, 16)])
def test_three_graphs_in_a_row_say_what_the_model_says(questions: Path, count: int, words: int) -> None:
    model, opened = toy_bridge.model(len(toy_bridge.ANSWERS)), graphs(questions)
    torch.manual_seed(words)
    pixels, ids = torch.randn(count, 3, 16, 16), torch.randint(1, 14, (count, words))
    mask = torch.ones_like(ids)
    mask[-1, words - 1 :] = 0
    with torch.no_grad():
        picture, text, fused = model(pixels, ids, mask)
    vector, places = cmab.run(opened["image"], pixels.numpy())
    other, said = cmab.run(opened["text"], ids.numpy(), mask.numpy())
    match, looked, answers = cmab.run(opened["bridge"], said, places, mask.numpy())
    pairs = ((vector, picture.vector), (other, text.vector), (match, fused.match), (looked, fused.looked),
             (answers, fused.answers))  # fmt: skip
    for found, wanted in pairs:
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


def test_the_manifest_names_what_the_graphs_have(artifact: Path, questions: Path) -> None:
    for folder, told in ((artifact, ["match", "looked"]), (questions, ["match", "looked", "answers"])):
        said, opened = manifest(folder), graphs(folder)
        for part, session in opened.items():
            assert [entry.name for entry in session.get_inputs()] == said["inputs"][part]
            assert [entry.name for entry in session.get_outputs()] == said["outputs"][part]
        assert said["outputs"]["bridge"] == told
        assert said["bridge"] == {"depths": 3, "width": 24, "grid": 4}
        assert max(said["metrics"]["parity"]["max_error"].values()) < 1e-4
    assert manifest(questions)["labels"] == list(toy_bridge.ANSWERS)


def test_the_towers_are_served_as_any_two_are(artifact: Path) -> None:
    spec, sink = RevisionSpec("m@1", "m", pipeline.TASK, str(artifact), "d" * 64, max_batch_size=4), ListSink()
    engine = pipeline.load_engine(artifact, spec, sink, Machine(cores=Cores(1), budget=0.3))
    engine.start()
    image, file = Image.new("RGB", (16, 16), (200, 30, 30)), io.BytesIO()
    image.save(file, "PNG")
    inputs = ({"texts": ["a red thing"]}, {"images": [base64.b64encode(file.getvalue()).decode()]})
    for number, one in enumerate(inputs):
        engine.submit(InferenceRequest(str(number), "m", pipeline.TASK, one)).result(30)
    engine.close()
    text, seen = (np.frombuffer(base64.b64decode(sink.of(n)[0].data["embeddings"]), "<f4") for n in ("0", "1"))

    model, ids = toy_bridge.model(), Tokenizer.from_file(str(artifact / "tokenizer.json")).encode("a red thing").ids
    pixels = torch.from_numpy(ImageProcessor(manifest(artifact)["processor"])(image))
    with torch.no_grad():
        np.testing.assert_allclose(text, model.texts(torch.tensor([ids]), torch.ones(1, len(ids))).vector[0], atol=1e-4)
        np.testing.assert_allclose(seen, model.pictures(pixels[None]).vector[0], atol=1e-4)


def test_graphs_that_say_something_else_are_refused(artifact: Path) -> None:
    other = toy_bridge.model()
    torch.nn.init.normal_(other.bridge.match[-1].bias)
    with pytest.raises(ExportError, match=r"bridge_model.onnx differs from the original"):
        cmab.compare(other, artifact, toy_bridge.SIDE)


def test_a_graph_does_not_name_the_machine_it_was_made_on(artifact: Path) -> None:
    for file in cmab.FILES.values():
        raw = (artifact / file).read_bytes()
        assert b"site-packages" not in raw and b"workers/zoo" not in raw
