"""Two towers as one deployment: the same space from both sides, and transformers' CLIP as the reference."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from contracts.messages import InferenceRequest, RevisionSpec
from tests.workers import tiny_models, toy_towers
from workers.backends.base import BackendError
from workers.engine.cores import Cores
from workers.engine.output import ListSink
from workers.pipelines import zero_shot_image_classification as pipeline
from workers.pipelines.encoder_loading import Machine
from workers.pipelines.image_processor import ImageProcessor

pytestmark = pytest.mark.integration


def load(artifact: Path, sink: ListSink | None = None) -> Any:
    spec = RevisionSpec("m@1", "m", pipeline.TASK, str(artifact), "d" * 64, max_batch_size=4)
    return pipeline.load_engine(artifact, spec, sink or ListSink(), Machine(cores=Cores(2), budget=0.3))


def answers(artifact: Path, *inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """RESULT or ERROR of each."""
    sink = ListSink()
    engine = load(artifact, sink)
    engine.start()
    for number, one in enumerate(inputs):
        engine.submit(InferenceRequest(str(number), "m", pipeline.TASK, one)).result(30)
    engine.close()
    return [sink.of(str(number))[0].data for number in range(len(inputs))]


def vectors_of(result: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(result["embeddings"]), "<f4").reshape(result["count"], result["dimensions"])


def png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def halves(left: str, right: str, size: tuple[int, int] = (40, 20)) -> Image.Image:
    image = Image.new("RGB", size, toy_towers.COLOURS[left])
    image.paste(toy_towers.COLOURS[right], (size[0] // 2, 0, *size))
    return image


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_towers.build(tmp_path_factory.mktemp("toy"))


def test_words_and_pictures_meet_in_one_space(toy: Path) -> None:
    images = [png(Image.new("RGB", (30, 30), colour)) for colour in toy_towers.COLOURS.values()]
    english, chinese, seen = answers(
        toy, {"texts": list(toy_towers.COLOURS)}, {"texts": list(toy_towers.CHINESE)}, {"images": images}
    )
    cosines = vectors_of(english) @ vectors_of(seen).T
    assert np.array_equal(cosines.argmax(1), np.arange(8))
    assert cosines.diagonal().min() > 0.99 and np.allclose(vectors_of(chinese), vectors_of(english))
    assert np.allclose(np.linalg.norm(vectors_of(seen), axis=1), 1, atol=1e-6)
    assert (seen["logit_scale"], seen["logit_bias"]) == (10.0, 0.0)


def test_a_crop_is_what_is_looked_at(toy: Path) -> None:
    picture = png(halves("red", "blue"))
    words, cut = answers(
        toy, {"texts": ["red", "blue"]}, {"images": [picture] * 3, "crops": [[0, 0, 0.5, 1], [0.5, 0, 1, 1], None]}
    )
    wanted = [[1, 0], [0, 1], [0.71, 0.71]]
    np.testing.assert_allclose(vectors_of(cut) @ vectors_of(words).T, wanted, atol=0.01)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "texts: must be a list of strings"),
        ({"images": []}, "images: must be a list of base64 strings"),
        ({"images": ["AAAA"]}, "images.0: is not a readable picture; known are JPEG, PNG, WEBP, GIF, BMP"),
        ({"images": [png(halves("red", "blue"))], "crops": []}, "crops: must be as many as the images"),
        (
            {"images": [png(halves("red", "blue"))], "crops": [[0.5, 0, 0.5, 1]]},
            "crops.0: must be left, top, right and bottom between 0 and 1",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(toy: Path, inputs: dict[str, Any], message: str) -> None:
    [error] = answers(toy, inputs)
    assert (error["type"], error["message"]) == ("invalid_request", message)


def test_both_sides_count_and_end(toy: Path) -> None:
    sink = ListSink()
    engine = load(toy, sink)
    engine.submit(InferenceRequest("t", "m", pipeline.TASK, {"texts": ["red"]}))
    engine.submit(InferenceRequest("i", "m", pipeline.TASK, {"images": [png(halves("red", "blue"))]}))
    assert engine.stats().waiting == 2
    assert engine.abort("i") and not engine.abort("i")
    engine.start()
    engine.close()
    assert engine.stats().items == 1
    assert [event.event for event in sink.of("i")] == ["done"]


def test_each_side_keeps_a_cost_table_of_its_own(toy: Path) -> None:
    load(toy).close()
    kept = sorted(path.name.split(".")[1] for path in toy.glob("cost-table.*"))
    assert kept == ["text_model", "vision_model"]


def test_a_side_that_is_missing_is_named(toy: Path, tmp_path: Path) -> None:
    manifest = json.loads((toy / "manifest.json").read_text())
    del manifest["models"]["text"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BackendError, match="names no text under models"):
        load(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CLIP", "ChineseCLIP", "Siglip"])
def test_what_is_imported_says_what_transformers_says(tmp_path: Path, name: str) -> None:
    source, artifact, said = tiny_models.towers(tmp_path / "towers", name), tmp_path / "artifact", tmp_path / "result"
    command = [sys.executable, "-m", "workers.export.encoder", source, artifact, pipeline.TASK, said]
    subprocess.run([str(part) for part in command], check=True)
    manifest = {"format": 1, "name": name, "task": pipeline.TASK, **json.loads(said.read_text())}
    manifest["processor"] |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 32, "width": 32}}
    (artifact / "manifest.json").write_text(json.dumps(manifest))
    images = [halves("red", "blue", (50, 40)), halves("green", "white", (32, 64))]
    words = ["a cat", "一只红色的猫", "x"]
    texts, one, seen = answers(
        artifact, {"texts": words}, {"texts": words[1:2]}, {"images": [png(image) for image in images]}
    )

    model = getattr(transformers, f"{name}Model").from_pretrained(source).eval()
    padding = "max_length" if name == "Siglip" else True
    tokens = transformers.AutoTokenizer.from_pretrained(source)(words, padding=padding, return_tensors="pt")
    wanted_inputs = {name: tokens[name] for name in manifest["inputs"]["text"]}
    processor = ImageProcessor(manifest["processor"])
    with torch.inference_mode():
        wanted = model(
            **wanted_inputs, pixel_values=torch.from_numpy(np.stack([processor(image) for image in images]))
        ).logits_per_text.numpy()
    scale, bias = texts["logit_scale"], texts["logit_bias"]
    np.testing.assert_allclose(vectors_of(texts) @ vectors_of(seen).T * scale + bias, wanted, atol=1e-3)
    np.testing.assert_allclose(vectors_of(one) @ vectors_of(seen).T * scale + bias, wanted[1:2], atol=1e-3)
    assert bias == (-1.5 if name == "Siglip" else 0.0)
