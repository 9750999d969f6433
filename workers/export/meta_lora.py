"""V5 to two ONNX graphs: one reads the examples of a task and gives its adapter, one runs the base with adapters.

Adapting takes no gradients, so it runs where the deployment runs. The base reads a row of strengths for each of its
rows: requests of many tasks share a batch, and what a task keeps is s, weight and bias. Its head is a product of a few
rows, which the caller computes.

Letters as in workers/zoo/v5_meta_lora.py: N examples, K outputs, D features, R ranks; B rows of a batch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor, nn
from torch.export import Dim

from workers.zoo.v5_meta_lora import Classifying, Regressing

from .classifier import strip
from .source import ExportError

TOLERANCE = 1e-4  # largest absolute difference of any output, over the largest number of it
FILES = {"adapt": "adapt_model.onnx", "base": "model.onnx"}
INPUTS = {"adapt": ["examples", "targets"], "base": ["inputs", "strengths"]}  # [N, ...], [N, K]; [B, ...], [B, R]
OUTPUTS = {"adapt": ["strengths", "weight", "bias"], "base": ["features"]}  # [R], [K, D], [K]; [B, D]
Adapting = Classifying | Regressing
_EXAMPLE = (7, 3)  # examples, outputs
SHAPES = ((1, 1), (2, 2), (5, 5), (20, 20), (33, 4))  # the same of what is compared


def write_graphs(model: Adapting, folder: Path) -> dict[str, Any]:
    """Both files of a model in eval mode; what was compared. Raises ExportError."""
    rows, outputs = Dim("rows"), Dim("outputs")
    axes = {
        "adapt": ({0: rows}, {0: rows, 1: outputs} if isinstance(model, Classifying) else {0: rows}),
        "base": ({0: rows}, {0: rows}),
    }
    for name, part in _parts(model).items():
        torch.onnx.export(
            part, _inputs(model, *_EXAMPLE)[name], folder / FILES[name], dynamo=True, dynamic_shapes=axes[name],
            input_names=INPUTS[name], output_names=OUTPUTS[name], external_data=False, verbose=False,
        )  # fmt: skip
        strip(folder / FILES[name])
    return compare(model, folder)


def _parts(model: Adapting) -> dict[str, nn.Module]:
    return {"adapt": model, "base": model.base}


def _inputs(model: Adapting, count: int, outputs: int) -> dict[str, tuple[Tensor, ...]]:
    """Of each graph. Classes have unequal numbers of examples, and each at least one where there are enough."""
    generator = torch.Generator().manual_seed(count)
    x = torch.rand(count, *model.base.example, generator=generator)
    if isinstance(model, Classifying):
        drawn = torch.randint(outputs, (count,), generator=generator)
        drawn[:outputs] = torch.arange(outputs)[:count]
        y = torch.eye(outputs)[drawn]
    else:
        y = torch.randn(count, model.last.out_features, generator=generator)
    return {"adapt": (x, y), "base": (x, torch.randn(count, model.base.ranks, generator=generator))}


@torch.no_grad()
def compare(model: Adapting, folder: Path, tolerance: float = TOLERANCE) -> dict[str, Any]:
    """Largest difference of any output of each graph over all shapes. Raises ExportError."""
    found = {}
    for name, part in _parts(model).items():
        session = ort.InferenceSession(str(folder / FILES[name]), providers=["CPUExecutionProvider"])
        found[name] = max(_difference(session, part, _inputs(model, *shape)[name]) for shape in SHAPES)
        if not found[name] <= tolerance:
            raise ExportError(f"{FILES[name]} differs from the original by {found[name]:.2g}, more than {tolerance}.")
    return {"max_error": found, "tolerance": tolerance, "shapes": [list(shape) for shape in SHAPES]}


def _difference(session: ort.InferenceSession, part: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    wanted = part(*inputs)
    names = [entry.name for entry in session.get_inputs()]
    got = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
    worst = 0.0
    for one, other in zip(got, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        if one.shape != other.shape:
            return np.inf
        difference = float(np.abs(one - other.numpy()).max() / max(1.0, other.abs().max().item()))
        worst = max(worst, difference if np.isfinite(difference) else np.inf)
    return worst


def values(model: Adapting) -> dict[str, Any]:
    """What a manifest says of the graphs."""
    return {
        "architecture": "V5MetaLoRA", "models": FILES, "inputs": INPUTS, "outputs": OUTPUTS,
        "example": list(model.base.example), "ranks": model.base.ranks, "features": model.base.features,
    }  # fmt: skip
