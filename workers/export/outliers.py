"""Columns that are far wider than the others stay in fp32, the rest becomes int8: x W = x' W + x[:, o] W[o, :], where
x' is x without the columns o (Dettmers et al. 2022, LLM.int8(), arXiv:2208.07339). BERT's feed-forward parts have one
or two such columns, in x and in W alike; in one int8 range with them little is left for the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from .calibration import Activations, Batches

KEPT = 4  # columns of a product; with none the logits of V1 on SST-2 were twice as far off, with 8 hardly less
_LEAST_WIDTH = 1024  # of the wider side of a matrix that is worth it


def split(graph: Path, out: Path, nodes: list[str], batches: Batches) -> Path:
    """The graph with the widest columns of each large product apart; what is called as before is the rest."""
    model = onnx.load(graph)
    constants = {entry.name: entry for entry in model.graph.initializer}
    products = [node for node in model.graph.node if node.name in nodes and node.op_type == "MatMul"]
    products = [node for node in products if max(constants[node.input[1]].dims) >= _LEAST_WIDTH]
    widest = _widest(graph, out, [node.name for node in products], batches) if products else {}
    for node in products:
        weight = constants[node.input[1]]
        values = numpy_helper.to_array(weight)
        rows = np.abs(values).max(1)
        wide = widest[node.input[0]]
        columns = np.sort(np.argsort(np.maximum(wide / np.median(wide), rows / np.median(rows)))[-KEPT:])
        rest = np.isin(np.arange(len(values)), columns, invert=True).astype(np.float32)
        model.graph.initializer.extend([
            numpy_helper.from_array(array, f"{node.name}_{part}")
            for part, array in (("rest", rest), ("columns", columns), ("rows", values[columns]))
        ])  # fmt: skip
        weight.CopyFrom(numpy_helper.from_array(values * rest[:, None], weight.name))
        _put_apart(model.graph, node)
    onnx.save(model, out)
    return out


def _put_apart(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    """The nodes around a product whose columns are apart."""
    name, x, result = node.name, node.input[0], node.output[0]
    rest = helper.make_node("Mul", [x, f"{name}_rest"], [f"{name}_x"], f"{name}_mul")
    node.input[0], node.output[0] = f"{name}_x", f"{name}_most"
    behind = [
        helper.make_node("Gather", [x, f"{name}_columns"], [f"{name}_wide"], f"{name}_gather", axis=-1),
        helper.make_node("MatMul", [f"{name}_wide", f"{name}_rows"], [f"{name}_few"], f"{name}_apart"),
        helper.make_node("Add", [f"{name}_most", f"{name}_few"], [result], f"{name}_add"),
    ]
    place = next(at for at, other in enumerate(graph.node) if other.name == name)
    for made in reversed(behind):
        graph.node.insert(place + 1, made)
    graph.node.insert(place, rest)


def _widest(graph: Path, work: Path, products: list[str], batches: Batches) -> dict[str, NDArray[np.float32]]:
    """Largest absolute value of each column, by the tensor."""
    found: dict[str, NDArray[np.float32]] = {}
    for name, values in Activations(graph, products, work).each(batches):
        columns = np.abs(values).reshape(-1, values.shape[-1]).max(0)
        found[name] = np.maximum(found.get(name, columns), columns)
    return found
