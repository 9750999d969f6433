"""V2 to three ONNX graphs, a tower for each side and the bridge, compared with the original on shapes not seen.

Letters as in workers/zoo/v2_cmab.py: B batch, T words, P places, S depths, C width of the bridge, E of the space.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim

from workers.zoo.v2_cmab import CMAB, DEPTHS, Bridge, Fused, Known, V2Config

from .classifier import example, strip
from .source import ExportError

TOLERANCE = 1e-4  # largest absolute difference of any output
FILES = {"text": "text_model.onnx", "image": "vision_model.onnx", "bridge": "bridge_model.onnx"}
INPUTS = {
    "text": ["input_ids", "attention_mask"],  # [B, T]
    "image": ["pixel_values"],  # [B, 3, Y, X]
    "bridge": ["text_parts", "image_parts", "attention_mask"],  # [B, S, T, C], [B, S, P, C], [B, T]
}
_EXAMPLE = (2, 6)  # pairs, words

Inputs = tuple[Tensor, ...]


def outputs(config: V2Config) -> dict[str, list[str]]:
    """Vectors [B, E] and parts as the bridge reads them; match [B], looked [B, T, P], answers [B, answers]."""
    answers = ["answers"] if config.answers else []
    return {
        "text": ["text_embeds", "text_parts"],
        "image": ["image_embeds", "image_parts"],
        "bridge": ["match", "looked", *answers],
    }


class BridgeGraph(nn.Module):
    """All depths open, and no answers where there are none."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.bridge = bridge
        bridge.opened = float(DEPTHS)

    def forward(self, words: Tensor, places: Tensor, mask: Tensor) -> Inputs:
        match, answers, looked = self.bridge(words, places, mask)
        return (match, looked, answers) if answers.shape[1] else (match, looked)


def write_graphs(model: CMAB, folder: Path, size: int) -> dict[str, Any]:
    """The three files of a model in eval mode, for pictures of size x size; what was compared. Raises ExportError."""
    parts, names = _parts(model), outputs(model.config)
    values = _inputs(model, *_EXAMPLE, size)
    for name, part in parts.items():
        torch.onnx.export(
            part, values[name], folder / FILES[name], dynamo=True, dynamic_shapes=_axes(model.config)[name],
            input_names=INPUTS[name], output_names=names[name], external_data=False, verbose=False,
        )  # fmt: skip
        strip(folder / FILES[name])
    return compare(model, folder, size)


def _parts(model: CMAB) -> dict[str, nn.Module]:
    return {"text": model.texts, "image": model.pictures, "bridge": BridgeGraph(model.bridge).eval()}


def _axes(config: V2Config) -> dict[str, Any]:
    batch, words = Dim("batch"), Dim("sequence", max=config.positions)
    text = {0: batch, 1: words}
    return {"text": (text, text), "image": ({0: batch},), "bridge": ({0: batch, 2: words}, {0: batch}, text)}


@torch.no_grad()
def _inputs(model: CMAB, count: int, words: int, size: int) -> dict[str, Inputs]:
    """Of each graph."""
    ids, mask = example(count, words, model.config.vocab_size)
    pixels = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(count))
    text, picture = model.texts(ids, mask), model.pictures(pixels)
    return {"text": (ids, mask), "image": (pixels,), "bridge": (text.parts, picture.parts, mask)}


def compare(model: CMAB, folder: Path, size: int, tolerance: float = TOLERANCE) -> dict[str, Any]:
    """Largest difference of any output of each graph, each given what the original gives. Raises ExportError."""
    longest = model.config.positions
    shapes = [(1, 1), (1, 5), (3, min(9, longest)), (5, longest)]
    found = {}
    for name, part in _parts(model).items():
        session = ort.InferenceSession(str(folder / FILES[name]), providers=["CPUExecutionProvider"])
        found[name] = max(_difference(session, part, _inputs(model, *shape, size)[name]) for shape in shapes)
        if not found[name] <= tolerance:
            raise ExportError(f"{FILES[name]} differs from the original by {found[name]:.2g}, more than {tolerance}.")
    return {"max_error": found, "tolerance": tolerance, "shapes": [list(shape) for shape in shapes]}


def _difference(session: ort.InferenceSession, part: nn.Module, inputs: Inputs) -> float:
    with torch.no_grad():
        wanted = part(*inputs)
    got = run(session, *(value.numpy() for value in inputs))
    worst = 0.0
    for one, other in zip(got, wanted, strict=True):
        difference = float(np.abs(one - other.numpy()).max()) if one.shape == other.shape else np.inf
        worst = max(worst, difference if np.isfinite(difference) else np.inf)
    return worst


def run(session: ort.InferenceSession, *inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
    """Every output, of inputs in the order that the graph names them in."""
    names = [entry.name for entry in session.get_inputs()]
    found: list[NDArray[np.float32]] = session.run(None, dict(zip(names, inputs, strict=True)))
    return found


class Graphs:
    """The three files in the model's place, for whatever measures it."""

    def __init__(self, folder: Path, scale: float, bias: float) -> None:
        self.log_scale, self.bias = torch.tensor(scale).log(), torch.tensor(bias)
        self._sessions = {
            name: ort.InferenceSession(str(folder / file), providers=["CPUExecutionProvider"])
            for name, file in FILES.items()
        }

    def pictures(self, pixels: Tensor) -> Known:
        return Known(*self._run("image", pixels.contiguous()))

    def texts(self, ids: Tensor, mask: Tensor) -> Known:
        return Known(*self._run("text", ids, mask))

    def bridge(self, words: Tensor, places: Tensor, mask: Tensor) -> Fused:
        match, looked, *answers = self._run("bridge", words, places, mask)
        return Fused(match, answers[0] if answers else match.new_zeros(len(match), 0), looked)

    def _run(self, part: str, *inputs: Tensor) -> list[Tensor]:
        return [torch.from_numpy(one) for one in run(self._sessions[part], *(value.numpy() for value in inputs))]


def values(model: CMAB, size: int, mean: list[float], deviation: list[float]) -> dict[str, Any]:
    """What the manifest says of the graphs; of pixels between 0 and 1 the mean is taken, then divided."""
    config = model.config
    return {
        "architecture": "V2CrossModalAttentionBridge", "models": FILES, "inputs": INPUTS, "outputs": outputs(config),
        "tokenizer": "tokenizer.json", "pad_id": config.pad_id, "max_length": config.positions,
        "dimensions": config.space, "normalize": True,
        "logit_scale": model.log_scale.exp().item(), "logit_bias": model.bias.item(),
        "bridge": {"depths": DEPTHS, "width": config.width, "grid": config.grid},
        "processor": {
            "do_resize": True, "size": {"height": size, "width": size}, "do_rescale": True, "do_normalize": True,
            "image_mean": mean, "image_std": deviation,
        },
    }  # fmt: skip
