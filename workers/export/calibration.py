"""The range of every activation from a stream of batches, in memory that does not grow with their number.

onnxruntime keeps every activation of every batch until it makes its histograms (its issue 10503 counts 123 GB for 32
texts). Here the batches are read twice: once for the largest value of each tensor, once to count into a histogram of
that width. The histograms are the ones onnxruntime would have made, and its own search finds the thresholds in them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization.calibrate import CalibrationMethod, HistogramCollector, TensorData, TensorsData

Batches = Callable[[], Iterator[dict[str, Any]]]
BINS = 2048
_LEVELS = 128  # of an int8 value without its sign
PERCENTILE = 99.99
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}


class Activations:
    """Tensors of a graph, batch by batch. `names` are those that nodes to be quantised read and write."""

    def __init__(self, graph: Path, nodes: list[str], work: Path) -> None:
        model = onnx.load(graph)
        constants = {entry.name for entry in model.graph.initializer}
        chosen = [node for node in model.graph.node if node.name in set(nodes)]
        used = {name for node in chosen for name in (*node.input, *node.output)} - constants
        self._given = used & {entry.name for entry in model.graph.input}
        self.names = sorted(used - self._given)
        present = {entry.name for entry in model.graph.output}
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.names if name not in present)
        onnx.save(model, work)
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = ort.InferenceSession(str(work), options, providers=["CPUExecutionProvider"])
        floats = {entry.name for entry in self._session.get_outputs() if entry.type == "tensor(float)"}
        self.names = [name for name in self.names if name in floats]

    def each(self, batches: Batches) -> Iterator[tuple[str, Any]]:
        for batch in batches():
            yield from ((name, batch[name]) for name in self._given if batch[name].dtype == np.float32)
            yield from zip(self.names, self._session.run(self.names, batch), strict=True)


class Histograms:
    """Of the values of each tensor, over its whole width on both sides of zero."""

    def __init__(self, activations: Activations, batches: Batches, bins: int = BINS) -> None:
        self.lowest: dict[str, Any] = {}
        self.highest: dict[str, Any] = {}
        for name, values in activations.each(batches):
            self.lowest[name] = min(self.lowest.get(name, values.min()), values.min())
            self.highest[name] = max(self.highest.get(name, values.max()), values.max())
        self.counts: dict[str, Any] = {}
        self.edges: dict[str, Any] = {}
        for name, values in activations.each(batches):
            counts, self.edges[name] = np.histogram(values, bins, range=(-self._width(name), self._width(name)))
            self.counts[name] = self.counts.get(name, 0) + counts

    def _width(self, name: str) -> Any:
        return max(abs(self.lowest[name]), abs(self.highest[name]))

    def ranges(self, method: str) -> TensorsData:
        """`method` is one of METHODS."""
        if method == "minmax":
            found = {name: (self.lowest[name], self.highest[name]) for name in self.counts}
        else:
            found = {name: limits[:2] for name, limits in self._thresholds(method).items()}
        data = {
            name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in found.items()
        }
        return TensorsData(METHODS[method], data)

    def _thresholds(self, method: str) -> dict[str, Any]:
        collector = HistogramCollector(method, False, BINS, _LEVELS, PERCENTILE, "same")
        collector.histogram_dict = {
            name: (self.counts[name], self.edges[name], self.lowest[name], self.highest[name], self._width(name))
            for name in self.counts
        }
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # it prints what it does
            found: dict[str, Any] = collector.compute_collection_result()
        return found
