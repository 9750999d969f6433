"""Pipelines against transformers and torch: tiny random models, texts of many lengths in one batch."""

import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from contracts.messages import InferenceRequest, RevisionSpec
from tests.workers.pipelines import encoders
from workers.backends.base import BackendError
from workers.engine.cores import Cores
from workers.engine.output import ListSink
from workers.pipelines import feature_extraction, image_feature_extraction, text_classification
from workers.pipelines.encoder_loading import Machine, layouts
from workers.pipelines.image_processor import ImageProcessor, decode

pytestmark = pytest.mark.integration

TEXTS = ["the cat", "a mat and two dogs looked at the old river", "dogs", "zebra sat on the mat near a cat and sat"]
PIPELINES: dict[str, Any] = {
    "feature-extraction": feature_extraction,
    "text-classification": text_classification,
    "image-feature-extraction": image_feature_extraction,
}


def answer(artifact: Path, task: str, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """RESULT (or ERROR) and DONE of one request through a started engine."""
    sink = ListSink()
    spec = RevisionSpec("m@1", "m", task, str(artifact), "d" * 64, max_batch_size=4)
    engine = PIPELINES[task].load_engine(artifact, spec, sink, Machine(cores=Cores(2), budget=0.3))
    engine.start()
    engine.submit(InferenceRequest("r", "m", task, inputs)).result(30)
    engine.close()
    return sink.events[0].data, sink.events[-1].data


def vectors_of(result: dict[str, Any]) -> np.ndarray:
    content = np.frombuffer(base64.b64decode(result["embeddings"]), "<f4")
    return content.reshape(result["count"], result["dimensions"])


def encoded(texts: list[str]) -> dict[str, torch.Tensor]:
    tokenizer = encoders.tokenizer()
    tokenizer.enable_padding(pad_id=0)
    rows = tokenizer.encode_batch(texts)
    return {
        "input_ids": torch.tensor([row.ids for row in rows]),
        "attention_mask": torch.tensor([row.attention_mask for row in rows]),
    }


@pytest.fixture(scope="module")
def bert_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    options = {"pooling": "mean", "normalize": True, "dimensions": 32}
    return encoders.text_artifact(folder, encoders.bert(), "last_hidden_state", task="feature-extraction", **options)


def with_manifest(artifact: Path, **changes: Any) -> Path:
    manifest = json.loads((artifact / "manifest.json").read_text())
    return encoders.write_manifest(artifact, {**manifest, **changes})


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last_token"])
def test_feature_extraction_is_transformers(bert_artifact: Path, pooling: str, normalize: bool) -> None:
    with_manifest(bert_artifact, pooling=pooling, normalize=normalize)
    inputs = encoded(TEXTS)
    with torch.no_grad():
        hidden = encoders.bert()(**inputs).last_hidden_state
    mask = inputs["attention_mask"][..., None].float()
    last = inputs["attention_mask"].sum(1) - 1
    expected = {
        "mean": (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9),  # as sentence-transformers writes it
        "cls": hidden[:, 0],
        "last_token": hidden[torch.arange(len(TEXTS)), last],
    }[pooling]
    if normalize:
        expected = torch.nn.functional.normalize(expected, dim=-1)
    result, done = answer(bert_artifact, "feature-extraction", {"texts": TEXTS})
    assert np.abs(vectors_of(result) - expected.numpy()).max() < 1e-4
    assert done["prompt_tokens"] == int(inputs["attention_mask"].sum())


def test_dimensions_are_cut_and_normalised_again(bert_artifact: Path) -> None:
    with_manifest(bert_artifact, pooling="mean", normalize=True)
    whole, _ = answer(bert_artifact, "feature-extraction", {"texts": TEXTS})
    short, _ = answer(bert_artifact, "feature-extraction", {"texts": TEXTS, "dimensions": 8})
    cut = vectors_of(whole)[:, :8]
    assert np.allclose(vectors_of(short), cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-6)


def test_token_ids_are_the_text(bert_artifact: Path) -> None:
    ids = encoders.tokenizer().encode("the cat").ids
    by_text, _ = answer(bert_artifact, "feature-extraction", {"texts": ["the cat"]})
    by_ids, _ = answer(bert_artifact, "feature-extraction", {"token_ids": [ids]})
    assert by_text == by_ids


def test_over_long_text_is_refused_with_counts_or_cut_when_asked(bert_artifact: Path) -> None:
    long = "cat " * 100
    error, _ = answer(bert_artifact, "feature-extraction", {"texts": ["cat", long]})
    assert (error["type"], error["prompt_tokens"], error["context_length"], error["index"]) == (
        "context_length_exceeded", 102, 32, 1,
    )  # fmt: skip
    result, done = answer(bert_artifact, "feature-extraction", {"texts": [long], "truncate": True})
    assert (result["count"], done["prompt_tokens"]) == (1, 32)


@pytest.mark.parametrize(
    ("inputs", "part"),
    [
        ({"texts": []}, "texts"),
        ({"texts": [5]}, "texts"),
        ({}, "texts"),
        ({"token_ids": [[99999]]}, "token ids"),
        ({"token_ids": [[]]}, "token ids"),
        ({"texts": ["cat"], "dimensions": 33}, "dimensions"),
    ],
)
def test_bad_input_is_refused(bert_artifact: Path, inputs: dict[str, Any], part: str) -> None:
    error, _ = answer(bert_artifact, "feature-extraction", inputs)
    assert error["type"] == "invalid_request"
    assert part in error["message"]


@pytest.mark.parametrize(
    ("problem_type", "scores"),
    [
        ("single_label_classification", lambda logits: torch.softmax(logits, -1)),
        ("multi_label_classification", torch.sigmoid),
        ("regression", lambda logits: logits),
    ],
)
def test_text_classification_is_transformers(
    classifier_artifact: Path, tmp_path: Path, problem_type: str, scores: Any
) -> None:
    model, labels = encoders.classifier(3, problem_type), ["bad", "fair", "good"]
    artifact = shutil.copytree(classifier_artifact, tmp_path / "classifier")
    with_manifest(artifact, problem_type=problem_type)
    with torch.no_grad():
        expected = scores(model(**encoded(TEXTS)).logits).numpy()
    result, _ = answer(artifact, "text-classification", {"texts": TEXTS})
    for found, row in zip(result["labels"], expected, strict=True):
        assert [one["label"] for one in found] == [labels[place] for place in np.argsort(-row)]
        assert np.allclose([one["score"] for one in found], -np.sort(-row), atol=1e-4)
    best, _ = answer(artifact, "text-classification", {"texts": TEXTS, "top_k": 1})
    assert [[one["label"] for one in row] for row in best["labels"]] == [[row[0]["label"]] for row in result["labels"]]


PROCESSOR = {
    "do_resize": True, "size": {"shortest_edge": 36}, "resample": 3, "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32}, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
    "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "do_convert_rgb": True,
}  # fmt: skip


def picture(width: int, height: int, kind: str = "PNG", **options: Any) -> str:
    pixels = np.random.default_rng(width).integers(0, 255, (height, width, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return base64.b64encode(content.getvalue()).decode()


def test_image_features_are_transformers(tmp_path: Path) -> None:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    encoders.image_artifact(
        tmp_path, encoders.vit(), task="image-feature-extraction", processor=PROCESSOR, pooling="cls", normalize=True,
        dimensions=32,
    )  # fmt: skip
    pictures = [picture(50, 40), picture(37, 80), picture(200, 200)]
    images = [Image.open(io.BytesIO(base64.b64decode(one))) for one in pictures]
    pixels = CLIPImageProcessorPil(**PROCESSOR)(images, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        hidden = encoders.vit()(pixels).last_hidden_state
    expected = torch.nn.functional.normalize(hidden[:, 0], dim=-1).numpy()
    result, done = answer(tmp_path, "image-feature-extraction", {"images": pictures})
    assert np.abs(vectors_of(result) - expected).max() < 1e-3
    assert done["prompt_tokens"] == 0


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("not base64!", "base64"),
        (base64.b64encode(b"GIF89a but nothing else").decode(), "readable"),
        (picture(64, 64)[:200] + "==", "images.0"),
        ("A" * 15_000_000, "10 MB"),
    ],
)
def test_what_is_no_picture_is_refused(content: str, part: str) -> None:
    with pytest.raises(Exception, match=part):
        decode(content, 0)


@pytest.mark.parametrize("side", [8_000, 20_000])
def test_picture_of_too_many_pixels_is_refused_before_it_is_read(side: int) -> None:
    content = io.BytesIO()
    Image.new("1", (side, side)).save(content, "PNG")
    with pytest.raises(Exception, match="pixels"):
        decode(base64.b64encode(content.getvalue()).decode(), 0)


def test_data_address_and_turned_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    content = picture(40, 20, "JPEG", exif=exif)
    assert decode("data:image/jpeg;base64," + content, 0).size == (20, 40)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str) -> None:
    """Its colours below the alpha are often black: nobody has ever seen them."""
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0)).convert(mode)
    file = io.BytesIO()
    image.save(file, "PNG", **({"transparency": 0} if mode == "P" else {}))
    found = decode(base64.b64encode(file.getvalue()).decode(), 0)
    assert (found.mode, found.getpixel((1, 1))) == ("RGB", (255, 255, 255))


@pytest.mark.parametrize("change", [{"do_resize": False, "do_center_crop": False}, {"do_center_crop": False}])
def test_processor_that_leaves_pictures_unequal_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="size"):
        ImageProcessor({**PROCESSOR, **change})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"task": "text-classification"}, "made for text-classification"),
        ({"pooling": "median"}, "median"),
        ({"tokenizer": "none.json"}, "tokenizer"),
        ({"outputs": ["nothing"]}, "no output nothing"),
        ({"model": "none.onnx"}, "none.onnx"),
    ],
)
def test_artifact_that_cannot_serve_says_why(bert_artifact: Path, change: dict[str, Any], part: str) -> None:
    before = (bert_artifact / "manifest.json").read_text()
    try:
        with_manifest(bert_artifact, **change)
        with pytest.raises(BackendError, match=part):
            answer(bert_artifact, "feature-extraction", {"texts": ["cat"]})
    finally:
        (bert_artifact / "manifest.json").write_text(before)


def test_measured_once_and_found_again(bert_artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(bert_artifact, "feature-extraction", {"texts": ["cat"]})
    assert len(list(bert_artifact.glob("cost-table.*.json"))) == 1
    monkeypatch.setattr("workers.pipelines.encoder_loading.measure", lambda *args, **options: pytest.fail("again"))
    result, _ = answer(bert_artifact, "feature-extraction", {"texts": ["cat"]})
    assert result["count"] == 1


def test_layouts_use_every_core_and_keep_the_weights_in_bounds() -> None:
    assert [(one.lanes, one.threads, one.pinned) for one in layouts(4, 1)] == [
        (1, 4, False), (2, 2, False), (2, 2, True), (4, 1, False), (4, 1, True),
    ]  # fmt: skip
    assert [one.lanes for one in layouts(4, 2**30)] == [1, 2, 2]
