"""Resident bytes that a graph adds to a worker: python -m benchmarks.growth GRAPH [OUTPUT]

A process of its own that imports what a worker does, and has onnxruntime's code in memory before: that is no model's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from workers.backends.encoder import OrtEncoder
from workers.hardware import resident

_TOKENS = 32


def growth(graph: Path, output: str = "logits") -> int:
    """By loading and five answers."""
    command = [sys.executable, "-m", "benchmarks.growth", str(graph), output]
    with tempfile.TemporaryDirectory() as folder:
        _write_nothing(nothing := Path(folder) / "nothing.onnx")
        done = subprocess.run([*command, str(nothing)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def _write_nothing(path: Path) -> None:
    """A graph of one product."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None]) for name in "xy"]
    weight = numpy_helper.from_array(np.ones((_TOKENS, 1), np.float32), "w")
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([product], "nothing", values[:1], values[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    onnx.save(model, path)


def _grow(graph: Path, output: str, nothing: Path) -> int:
    other = OrtEncoder(nothing)
    other.run({"x": np.ones((1, _TOKENS), np.float32)})
    before = resident()
    encoder = OrtEncoder(graph, output=output)
    ones = np.ones((1, _TOKENS), np.int64)
    for _ in range(5):
        encoder.run({"input_ids": ones, "attention_mask": ones})
    grown = resident() - before
    other.close()
    return grown


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(_grow(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
    else:
        print(growth(Path(sys.argv[1]), *sys.argv[2:]))
