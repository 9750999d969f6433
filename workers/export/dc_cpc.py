"""V4 to one ONNX graph that reads any number of tokens after any state, compared with the original in parts.

Letters as in workers/zoo/v4_dc_cpc.py: B batch, T readings, F sensors, N tokens, C width, E space, K horizons; S is how
many numbers the state has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor, nn
from torch.export import Dim

from workers.zoo.v4_dc_cpc import DCCPC, pack, unpack

from .classifier import strip
from .source import ExportError

TOLERANCE = 1e-4  # largest absolute difference of any output
GRAPH, HEADS = "model.onnx", "heads.npz"
INPUTS = ["readings", "seen", "state"]  # [B, T, F], the same, [B, S]
OUTPUTS = ["tokens", "contexts", "weights", "after"]  # [B, N, E], [B, N, C], [B, N, K], [B, S]
_EXAMPLE = (3, 5)  # series, tokens
PARTS = (1, 2, 1, 17, 64, 1, 1)  # tokens of each call that is compared

Parts = tuple[Tensor, Tensor, Tensor, Tensor]


class Stepping(nn.Module):
    """The state as one flat input and output."""

    def __init__(self, model: DCCPC) -> None:
        super().__init__()
        self.model = model

    def forward(self, readings: Tensor, seen: Tensor, state: Tensor) -> Parts:
        known, after = self.model(readings, seen, unpack(state, self.model.config))
        return known.tokens, known.contexts, known.weights, pack(after)


def write_graph(model: DCCPC, folder: Path) -> dict[str, Any]:
    """model.onnx and heads.npz of a model in eval mode; what was compared. Raises ExportError."""
    config, stepping = model.config, Stepping(model).eval()
    batch, tokens = _EXAMPLE
    readings = torch.randn(batch, tokens * config.stride, config.sensors)
    state = pack(model.begin(batch))
    count, length = Dim("batch"), config.stride * Dim("tokens") if config.stride > 1 else Dim("tokens")
    axes = {0: count, 1: length}
    torch.onnx.export(
        stepping, (readings, torch.ones_like(readings), state), folder / GRAPH, dynamo=True,
        dynamic_shapes=(axes, axes, {0: count}), input_names=INPUTS, output_names=OUTPUTS, external_data=False,
        verbose=False,
    )  # fmt: skip
    strip(folder / GRAPH)
    np.savez(folder / HEADS, weight=model.predict.weight.detach().numpy(), bias=model.predict.bias.detach().numpy())
    return compare(model, folder / GRAPH)


@torch.no_grad()
def compare(model: DCCPC, path: Path, tolerance: float = TOLERANCE) -> dict[str, Any]:
    """Largest difference of any output over a series in parts, each side with its own state. Raises ExportError."""
    config, stepping = model.config, Stepping(model).eval()
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    generator, worst = torch.Generator().manual_seed(0), 0.0
    for batch in (1, 4):
        state = pack(model.begin(batch))
        other = state.numpy()
        for tokens in PARTS:
            shape = (batch, tokens * config.stride, config.sensors)
            readings = torch.randn(shape, generator=generator)
            seen = (torch.rand(shape, generator=generator) > 0.1).float()
            wanted = stepping(readings, seen, state)
            got = session.run(OUTPUTS, {"readings": readings.numpy(), "seen": seen.numpy(), "state": other})
            for one, own in zip(got, wanted, strict=True):
                difference = float(np.abs(one - own.numpy()).max()) if one.shape == own.shape else np.inf
                worst = max(worst, difference if np.isfinite(difference) else np.inf)
            state, other = wanted[-1], got[-1]
    if not worst <= tolerance:
        raise ExportError(f"{path.name} differs from the original by {worst:.2g}, more than {tolerance}.")
    return {"max_error": worst, "tolerance": tolerance, "parts": list(PARTS), "batches": [1, 4]}


def values(model: DCCPC, scale: float) -> dict[str, Any]:
    """What a manifest says of the graph. `scale` is what cosines are multiplied by before they are compared."""
    config = model.config
    return {
        "architecture": "V4DynamicContextCPC", "model": GRAPH, "inputs": INPUTS, "outputs": OUTPUTS,
        "sensors": config.sensors, "stride": config.stride, "horizons": config.horizons, "space": config.space,
        "width": config.width, "reach": config.reach, "state": pack(model.begin(1)).shape[1], "scale": scale,
    }  # fmt: skip
