"""The graphs of V5 adapt and answer as the model does, for any number of examples and classes."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from workers.export import meta_lora
from workers.export.source import ExportError
from workers.recipes import v5
from workers.training.loop import Options
from workers.training.meta import train
from workers.zoo.trained import load_meta_lora
from workers.zoo.v5_meta_lora import (
    Adapter,
    Classifying,
    Head,
    Numbers,
    NumbersConfig,
    Pictures,
    PicturesConfig,
    Regressing,
    V5Config,
)

Written = tuple[Path, dict[str, Any]]


def classifying() -> Classifying:
    torch.manual_seed(0)
    return Classifying(V5Config(3, 8), Pictures(PicturesConfig((8, 16), 12), 3)).eval()


def regressing() -> Regressing:
    torch.manual_seed(0)
    return Regressing(V5Config(4, 8), Numbers(NumbersConfig(2, (10, 12)), 4), 1).eval()


def session(path: Path) -> ort.InferenceSession:
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[Callable[[], meta_lora.Adapting], Written]:
    """The graphs of both kinds, and what was compared while they were written."""
    folders = {make: tmp_path_factory.mktemp(make.__name__) for make in (classifying, regressing)}
    return {make: (folder, meta_lora.write_graphs(make(), folder)) for make, folder in folders.items()}


@pytest.mark.parametrize("make", [classifying, regressing])
def test_the_graphs_are_the_model(make, written) -> None:
    folder, found = written[make]
    assert set(found["max_error"]) == {"adapt", "base"} and max(found["max_error"].values()) <= 1e-4
    for name, file in meta_lora.FILES.items():
        graph = session(folder / file)
        assert [entry.name for entry in graph.get_inputs()] == meta_lora.INPUTS[name]
        assert [entry.name for entry in graph.get_outputs()] == meta_lora.OUTPUTS[name]


def test_another_model_is_noticed(written) -> None:
    other = classifying()
    torch.nn.init.normal_(other.generate.bias)
    with pytest.raises(ExportError, match=r"adapt_model.onnx differs from the original"):
        meta_lora.compare(other, written[classifying][0])


def test_two_tasks_taught_by_graphs_answer_in_one_batch_as_in_torch(written) -> None:
    """Examples to adapters to answers, without torch in between."""
    model, folder = classifying(), written[classifying][0]
    adapt, base = (session(folder / meta_lora.FILES[name]) for name in ("adapt", "base"))
    source = np.random.default_rng(0)
    taught = []
    for ways in (2, 5):
        x, y = source.random((2 * ways, 1, 12, 12), np.float32), np.eye(ways, dtype=np.float32).repeat(2, 0)
        taught.append((x, y, adapt.run(None, {"examples": x, "targets": y})))
    asked = source.random((2, 1, 12, 12), np.float32)
    strengths = np.stack([one[2][0] for one in taught])
    (features,) = base.run(None, {"inputs": asked, "strengths": strengths})
    for row, (x, y, (_, weight, bias)) in enumerate(taught):
        with torch.no_grad():
            s, *head = model(torch.from_numpy(x), torch.from_numpy(y))
            wanted = model.predict(torch.from_numpy(asked[row : row + 1]), Adapter(s, Head(*head)))[0]
        np.testing.assert_allclose(weight @ features[row] + bias, wanted, atol=1e-4)


def test_a_run_of_v5_is_loaded_and_one_to_compare_with_is_not(tmp_path: Path) -> None:
    options = Options(steps=2, batch_size=3, evaluate_every=1)
    few = {"model": {"widths": (8, 8)}, "rank": 2, "embedding": 8, "options": options, "validation_tasks": 10}
    config = dataclasses.replace(v5.curves(), **few, test_tasks=10)  # type: ignore[arg-type]
    train(config, tmp_path / "v5", lambda said: None)
    model, written = load_meta_lora(tmp_path / "v5")
    meta_lora.write_graphs(model, tmp_path)
    assert written["training"]["modes"] == 5
    assert meta_lora.values(model)["ranks"] == 4 and meta_lora.values(model)["example"] == [1]
    train(dataclasses.replace(config, learner="anil"), tmp_path / "anil", lambda said: None)
    with pytest.raises(ValueError, match="a run to compare with"):
        load_meta_lora(tmp_path / "anil")
