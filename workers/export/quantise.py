"""fp32 to int8: every way is tried, measured, and the fastest that answers well enough is taken.

python -m workers.export RUN OUT does it as a part of the export. The widest columns of large products stay in fp32
(outliers.py); the other weights become int8 whatever the way; it differs where
the ranges of the activations come from: from each text itself (dynamic), or from calibration texts (static: the largest
value, a percentile, or the least entropy lost). Static graphs are in QDQ form, which TensorRT reads as well; the table
of ranges for its own calibration is written beside.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data
from onnxruntime.quantization.quant_utils import write_calibration_table
from onnxruntime.quantization.shape_inference import quant_pre_process

from . import outliers
from .calibration import METHODS, Activations, Batches, Histograms
from .classifier import strip
from .source import ExportError

TOLERANCE = 0.5  # points of accuracy that may be lost
_FLOAT = {"DefaultTensorType": onnx.TensorProto.FLOAT}  # behind onnxruntime's own nodes a type cannot be inferred
_LEAST_WIDTH = 32  # of a matrix that is quantised


@dataclass(frozen=True, slots=True)
class Candidate:
    """`accuracy` is a share, `milliseconds` those of one text."""

    name: str
    accuracy: float
    milliseconds: float
    bytes: int


def make_candidates(graph: Path, folder: Path, batches: Batches) -> dict[str, Path]:
    """The quantised graphs by their name, in `folder`."""
    whole, prepared = folder / "whole.onnx", folder / "prepared.onnx"
    quant_pre_process(str(graph), str(whole), skip_symbolic_shape=True, skip_optimization=True)
    nodes = dense_nodes(whole)
    outliers.split(whole, prepared, nodes, batches)
    made = {"dynamic": _dynamic(prepared, folder / "dynamic.onnx", nodes)}
    histograms = Histograms(Activations(prepared, nodes, folder / "watched.onnx"), batches)
    for method in METHODS:
        ranges = histograms.ranges(method)
        made[method] = _static(prepared, folder / f"{method}.onnx", nodes, ranges)
    for path in made.values():
        strip(path)
    with _quiet():  # the last, which is entropy
        write_calibration_table(dict(ranges.items()), str(folder))
    return made


def choose(candidates: list[Candidate], wanted: float, tolerance: float = TOLERANCE) -> Candidate:
    """The fastest of those that lose at most `tolerance` points. Raises ExportError when there is none."""
    good = [one for one in candidates if 100 * (wanted - one.accuracy) <= tolerance]
    if not good:
        best = max(candidates, key=lambda one: one.accuracy)
        raise ExportError(
            f"Every int8 graph loses more than {tolerance} points; the best, {best.name}, loses "
            f"{100 * (wanted - best.accuracy):.1f}. Export fp32, or state another tolerance."
        )
    return min(good, key=lambda one: one.milliseconds)


def dense_nodes(graph: Path) -> list[str]:
    """Products with a large matrix of weights, and the table of words. Not the last layer and not those that decide on
    mass and range, which are small and whose errors are not; not the attention's own products, whose numbers for what
    is absent would leave no int8 step for the others."""
    model = onnx.load(graph, load_external_data=False)
    least = {entry.name: min(entry.dims) for entry in model.graph.initializer if len(entry.dims) == 2}
    weight = {"MatMul": 1, "Gather": 0}
    chosen = (node for node in model.graph.node if node.op_type in weight)
    return [node.name for node in chosen if least.get(node.input[weight[node.op_type]], 0) >= _LEAST_WIDTH]


def has_vnni() -> bool:
    """Whether the processor multiplies u8 by s8 without saturating at 16 bits."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    return "avx512_vnni" in text or "avx_vnni" in text


def _dynamic(graph: Path, out: Path, nodes: list[str]) -> Path:
    with _quiet():
        quantize_dynamic(
            graph, out, nodes_to_quantize=nodes, per_channel=True, reduce_range=not has_vnni(),
            weight_type=QuantType.QInt8, extra_options=dict(_FLOAT),
        )  # fmt: skip
    return out


def _static(graph: Path, out: Path, nodes: list[str], ranges: TensorsData) -> Path:
    kind = QuantType.QInt8 if has_vnni() else QuantType.QUInt8
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "ranges.json"
        save_tensors_data(ranges, path)
        quantize_static(
            graph, out, None, quant_format=QuantFormat.QDQ, nodes_to_quantize=nodes, per_channel=has_vnni(),
            activation_type=kind, weight_type=kind, calibrate_method=ranges.calibration_method,
            calibration_cache_path=path, extra_options=dict(_FLOAT),
        )  # fmt: skip
    return out


@contextlib.contextmanager
def _quiet() -> Any:
    """onnxruntime's quantiser warns on the root logger and prints."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
    finally:
        logging.getLogger().setLevel(level)


def as_rows(candidates: list[Candidate]) -> list[dict[str, Any]]:
    return [asdict(one) for one in candidates]
