"""Graphs that say the same in fewer steps: onnxruntime's transformer optimiser, and its own levels written out."""

from __future__ import annotations

import logging
from pathlib import Path

import onnxruntime as ort


def fused(graph: Path, out: Path, *, heads: int, width: int) -> Path:
    """Normalisations with what is added before them, activations with their bias. The attention has no fused form."""
    from onnxruntime.transformers.optimizer import optimize_model

    logging.getLogger("onnxruntime.transformers").setLevel(logging.ERROR)
    made = optimize_model(str(graph), model_type="bert", num_heads=heads, hidden_size=width, opt_level=0)
    made.save_model_to_file(str(out))
    return out


def optimised(graph: Path, out: Path) -> Path:
    """What onnxruntime makes of it when it loads it, on the extended level: no layout of one processor."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(out)
    options.log_severity_level = 3
    ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return out
