"""A trained classifier to one ONNX graph for every length, compared with the original on shapes it has not seen.

Shapes: B batch, T tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn
from torch.export import Dim

from workers.zoo.v1_dynamic_attention import Classifier

from .source import ExportError

TOLERANCE = 1e-4  # largest absolute difference of a logit
INPUTS, OUTPUTS = ["input_ids", "attention_mask"], ["logits", "reach"]
# Neither is a multiple of a block, and no part of the attention is empty or of size one in the example: packed, every
# tier has to have blocks.
_EXAMPLE = (2, 300)
_PACKED_BLOCKS = 131
LENGTHS = (1, 5, 16, 17, 37, 128, 511, 1000, 2049)
BATCHES = (1, 2, 3)


def write_graph(model: Classifier, path: Path, vocabulary: int) -> None:
    """`logits` [B, labels] and `reach` [B, layers, H, T] of `input_ids` and `attention_mask` [B, T]."""
    axes = {0: Dim("batch"), 1: Dim("sequence")}
    batch, length = _EXAMPLE
    if model.tiers:
        length = _PACKED_BLOCKS * model.config.window + 4
    torch.onnx.export(
        model.eval(), example(batch, length, vocabulary), path, dynamo=True, dynamic_shapes=(axes, axes),
        input_names=INPUTS, output_names=OUTPUTS, external_data=False, verbose=False,
    )  # fmt: skip
    strip(path)
    _check_axes(path)


def strip(path: Path) -> None:
    """Removes where each node comes from in the source, which is as large as the weights of a small model and names
    this machine, and the shapes between nodes, which loading finds again."""
    model = onnx.load(path)
    for entry in (
        model,
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        entry.doc_string = ""
        del entry.metadata_props[:]
    del model.graph.value_info[:]
    onnx.save(model, path)


def _check_axes(path: Path) -> None:
    """An exporter that fixes an axis says nothing."""
    for entry in ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs():
        if not all(isinstance(axis, str) for axis in entry.shape):
            raise ExportError(f"The graph reads {entry.name} in the shape {entry.shape} only.")


def example(batch: int, length: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Random ids; every row but the first is padded, each further than the one before."""
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(4, vocabulary, (batch, length), generator=generator)
    mask = torch.ones_like(ids)
    for row in range(batch):
        mask[row, max(1, length - row * length // (batch + 1)) :] = 0
    return ids * mask, mask


def compare(
    model: nn.Module, path: Path, vocabulary: int, longest: int, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Largest difference of the logits over all shapes. Raises ExportError when it is too large."""
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    shapes = [(batch, length) for batch in BATCHES for length in LENGTHS if length <= longest] + [(1, longest)]
    worst = 0.0
    for shape in shapes:
        ids, mask = example(*shape, vocabulary)
        with torch.inference_mode():
            wanted = model(ids, mask)[0].numpy()
        (got,) = session.run(OUTPUTS[:1], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        difference = float(np.abs(got - wanted).max()) if got.shape == wanted.shape else np.inf
        worst = max(worst, difference if np.isfinite(difference) else np.inf)
    if not worst <= tolerance:
        raise ExportError(f"The graph differs from the original by {worst:.2g}, more than {tolerance}.")
    return {"max_error": worst, "tolerance": tolerance, "shapes": [list(shape) for shape in shapes]}
