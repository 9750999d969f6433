"""A graph whose weights take a quarter of the room: int8 with a scale for each channel.

onnxruntime makes them fp32 again when it opens the file, so it computes as before and at the same speed; what changes
is what has to be stored and carried. Graphs that also compute in int8 are made in workers/export/quantise.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_LEAST = 1024  # numbers in a tensor that is worth it


def compact(graph: Path, out: Path) -> None:
    model = onnx.load(graph)
    last = {name for node in model.graph.node if node.op_type == "MatMul" for name in node.input}
    nodes, kept = [], []
    for entry in model.graph.initializer:
        weights = numpy_helper.to_array(entry)
        if weights.dtype != np.float32 or weights.ndim < 2 or weights.size < _LEAST:
            kept.append(entry)
            continue
        channel = weights.ndim - 1 if entry.name in last else 0
        others = tuple(axis for axis in range(weights.ndim) if axis != channel)
        scale = np.maximum(np.abs(weights).max(others, keepdims=True) / 127, 1e-12).astype(np.float32)
        small, wide, factor = (f"{entry.name}.{part}" for part in ("int8", "wide", "scale"))
        kept.append(numpy_helper.from_array(np.round(weights / scale).astype(np.int8), small))
        kept.append(numpy_helper.from_array(scale, factor))
        nodes.append(helper.make_node("Cast", [small], [wide], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [wide, factor], [entry.name]))
    nodes.extend(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, out)
