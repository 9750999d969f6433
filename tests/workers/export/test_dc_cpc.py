"""The graph of V4 says in parts what the model says, whatever the sizes."""

import json

import numpy as np
import onnxruntime as ort
import pytest
import torch

from contracts.messages import RevisionSpec
from workers.data.series import Series
from workers.engine.output import ListSink
from workers.export import dc_cpc, series
from workers.export.source import ExportError
from workers.pipelines import anomaly_detection
from workers.pipelines.encoder_loading import Machine
from workers.training import cpc, sets
from workers.training.cpc import CpcConfig
from workers.training.loop import Options
from workers.zoo.v4_dc_cpc import DCCPC, V4Config

SIZES = {"width": 16, "heads": 2, "hidden": 32, "window": 7, "space": 8}


def model_of(**changes):
    torch.manual_seed(0)
    return DCCPC(V4Config(**{**SIZES, "sensors": 2, **changes})).eval()


@pytest.mark.slow
@pytest.mark.parametrize("changes", [
    {}, {"sensors": 1, "strides": (1,), "kernels": (3,)}, {"strides": (2, 2), "kernels": (4, 3), "layers": 1},
])  # fmt: skip
def test_the_graph_is_the_model(tmp_path, changes):
    found = dc_cpc.write_graph(model_of(**changes), tmp_path)

    assert found["max_error"] <= 1e-4
    session = ort.InferenceSession(str(tmp_path / "model.onnx"))
    assert [entry.name for entry in session.get_inputs()] == dc_cpc.INPUTS
    assert [entry.name for entry in session.get_outputs()] == dc_cpc.OUTPUTS


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    dc_cpc.write_graph(model_of(), folder)
    return folder


def test_another_model_is_noticed(written):
    torch.manual_seed(1)
    with pytest.raises(ExportError, match="differs from the original"):
        dc_cpc.compare(DCCPC(model_of().config).eval(), written / "model.onnx")


def test_the_manifest_says_what_a_detector_needs(written):
    model = model_of()
    values = json.loads(json.dumps(dc_cpc.values(model, 12.0)))

    assert (values["sensors"], values["stride"], values["horizons"], values["scale"]) == (2, 2, 10, 12.0)
    assert values["reach"] == 13
    with np.load(written / "heads.npz", allow_pickle=False) as heads:
        assert heads["weight"].shape == (10 * values["space"], values["width"])


@pytest.mark.slow
def test_a_run_becomes_an_artifact_that_stands_for_the_task(tmp_path, monkeypatch):
    waves = [Series(f"{n}", np.sin(np.arange(60) / (2 + n)).astype(np.float32)[:, None]) for n in range(4)]
    monkeypatch.setitem(sets._SETS, "tiny", lambda seed: sets.Set("tiny", "made up", "none", waves, waves))
    options = Options(steps=4, batch_size=3, evaluate_every=2)
    config = CpcConfig("tiny", "tiny", {**SIZES, "layers": 1, "horizons": 3}, length=12, options=options)
    cpc.train(config, tmp_path / "run", lambda said: None)
    manifest = series.export(tmp_path / "run", tmp_path / "v4-tiny", "Tiny")

    assert (manifest["task"], manifest["name"]) == ("anomaly-detection", "v4-tiny")
    assert sorted(manifest["files"]) == ["README.md", "heads.npz", "model.onnx"]
    assert manifest["graph"]["scale"] == pytest.approx(10.0, rel=0.1)
    spec = RevisionSpec("m@1", "m", "anomaly-detection", str(tmp_path / "v4-tiny"), "d" * 64)
    anomaly_detection.load_engine(tmp_path / "v4-tiny", spec, ListSink(), Machine())
    with pytest.raises(ExportError, match="exists"):
        series.export(tmp_path / "run", tmp_path / "v4-tiny", "Tiny")
