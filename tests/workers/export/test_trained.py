"""A trained run to an artifact, and that artifact in the pipeline that serves it."""

import json

import numpy as np
import onnx
import pytest
import torch

from contracts.messages import InferenceRequest, RevisionSpec
from workers.backends.encoder import OrtEncoder
from workers.data import corpus as corpora
from workers.data import vocabulary
from workers.data.corpus import Corpus
from workers.export import classifier
from workers.export.source import ExportError
from workers.export.trained import Exporter, Wish
from workers.pipelines.text_classification import TextClassification
from workers.training import classify
from workers.training.classify import ClassifyConfig
from workers.training.loop import Options
from workers.zoo.v1_dynamic_attention import Classifier, V1Config

pytestmark = pytest.mark.slow
MODEL = {
    "width": 64,
    "layers": 1,
    "heads": 2,
    "hidden": 64,
    "window": 8,
    "summaries": 4,
    "levels": 3,
    "global_tokens": 1,
}
TOKENS = ("good", "bad", "film", "so", "it", "was")


def examples(count):
    return [(f"so it was {'film ' * (n % 17)}{('bad', 'good')[n % 2]} film", n % 2) for n in range(count)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Run, artifact and manifest of a classifier that is right about good and bad."""
    folder = tmp_path_factory.mktemp("export")
    corpus = Corpus("tiny", ("no", "yes"), examples(64), examples(40), examples(60), "made up", "none needed")
    options = Options(steps=60, batch_size=16, learning_rate=1e-2, evaluate_every=20)
    config = ClassifyConfig("tiny", "tiny", MODEL, longest=32, options=options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "load", lambda name: corpus)
        patch.setattr(classify, "_tokenizer", lambda config, texts: (vocabulary.words(TOKENS), None))
        classify.train(config, folder / "run", lambda said: None)
        (folder / "work").mkdir()
        exporter = Exporter(folder / "run", folder / "work")
        manifest = exporter.export(Wish("tiny", "Tiny"), folder / "artifact")
    return folder, exporter, manifest


def test_one_graph_for_every_length_and_batch(exported):
    _, exporter, manifest = exported
    found = classifier.compare(exporter.model, exporter.work / "plain.onnx", 10, 4096)

    assert found["max_error"] < 1e-5
    assert manifest["metrics"]["parity"]["max_error"] < 1e-4
    unseen = {(batch, length) for batch, length in found["shapes"] if length != classifier._EXAMPLE[1]}
    lengths = [length for length in classifier.LENGTHS if {(batch, length) for batch in (1, 2, 3)} <= unseen]
    assert len(lengths) >= 8 and {1, 17, 2049} <= set(lengths) and (1, 4096) in unseen


@pytest.mark.parametrize("tiers", [(1.0, 1.0, 1.0), (1.0, 0.5, 0.25)])
def test_packed_inference_is_one_graph_too(tmp_path, tiers):
    torch.manual_seed(0)
    model = Classifier(V1Config(10, 2, **MODEL)).eval()
    for layer in model.encoder.layers:
        torch.nn.init.normal_(layer.attention.range.weight)  # some blocks ask for more than others
        torch.nn.init.zeros_(layer.attention.range.bias)
    model.pack(tiers)
    classifier.write_graph(model, tmp_path / "packed.onnx", 10)

    # Two blocks that ask for the same to six digits may change places, so not less than the export's own tolerance.
    assert classifier.compare(model, tmp_path / "packed.onnx", 10, 4096)["max_error"] < 1e-4
    model.pack(None)
    if tiers == (1.0,) * 3:
        assert classifier.compare(model, tmp_path / "packed.onnx", 10, 4096)["max_error"] < 1e-5
    else:
        with pytest.raises(ExportError, match="differs from the original"):
            classifier.compare(model, tmp_path / "packed.onnx", 10, 4096)


def test_the_artifact_is_served_as_it_is(exported):
    folder, _, manifest = exported
    spec = RevisionSpec("tiny", "tiny", "text-classification", str(folder / "artifact"), "", context_length=4096)
    pipeline = TextClassification(folder / "artifact", spec)
    lane = pipeline.lane(OrtEncoder(folder / "artifact" / "model.onnx", output=manifest["outputs"][0]))
    texts = ["so it was good film", "it was film film film so so so bad"]
    request = InferenceRequest("r", "tiny", "text-classification", {"texts": texts})
    results = lane.run([item.payload for item in pipeline.prepare(request)])

    assert [row[0]["label"] for row in pipeline.answer(request, results)["labels"]] == ["yes", "no"]


def test_the_manifest_says_what_was_measured(exported):
    folder, exporter, manifest = exported
    metrics = manifest["metrics"]

    assert metrics["accuracy_fp32"] == exporter.trained["accuracy"] == 1.0
    assert metrics["chosen"] in {"dynamic", "minmax", "percentile", "entropy"}
    assert {row["name"] for row in metrics["candidates"]} >= {"fp32", "fp32 fused", "fp32 optimised", "entropy"}
    assert manifest["labels"] == ["no", "yes"] and manifest["max_length"] == 72
    written = json.loads((folder / "artifact" / "manifest.json").read_text())
    assert set(written["files"]) == {"README.md", "calibration.flatbuffers", "model.onnx", "tokenizer.json"}
    card = (folder / "artifact" / "README.md").read_text()
    assert "100.0 % of the test are right" in card and f"{metrics['chosen']} (chosen)" in card


def test_the_graph_does_not_name_the_machine_it_was_made_on(exported):
    folder, _, _ = exported
    raw = (folder / "artifact" / "model.onnx").read_bytes()

    assert b"site-packages" not in raw and b"workers/zoo" not in raw


def test_the_range_is_an_output(exported):
    folder, exporter, _ = exported
    encoder = OrtEncoder(folder / "artifact" / "model.onnx", output="reach")
    ids = np.ones((2, 20), np.int64)
    with torch.inference_mode():
        wanted = exporter.model(torch.tensor(ids), torch.ones(2, 20))[1]

    found = encoder.run({"input_ids": ids, "attention_mask": ids})
    assert found.shape == (2, 1, 2, 20)
    assert np.abs(found - wanted.numpy()).max() < 0.5  # of 3 levels, in int8


def test_an_export_that_says_something_else_is_refused(exported, tmp_path):
    _, exporter, _ = exported
    other = Classifier(V1Config(10, 2, **MODEL)).eval()

    with pytest.raises(ExportError, match="differs from the original"):
        classifier.compare(other, exporter.work / "plain.onnx", 10, 64)


def test_an_artifact_is_never_overwritten(exported):
    folder, exporter, _ = exported
    with pytest.raises(ExportError, match="exists"):
        exporter.export(Wish("tiny", "Tiny"), folder / "artifact")


def test_a_graph_of_one_length_is_refused(tmp_path):
    value = [onnx.helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, [1, 4])]
    out = [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT64, [1, 4])]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["input_ids"], ["y"])], "fixed", value, out)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.save(model, tmp_path / "fixed.onnx")

    with pytest.raises(ExportError, match="only"):
        classifier._check_axes(tmp_path / "fixed.onnx")
