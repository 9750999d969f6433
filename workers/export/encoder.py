"""Text encoders, CLIP and its kin to ONNX, compared with the original. Run as a process of its own:

python -m workers.export.encoder SOURCE ARTIFACT TASK RESULT.json

writes the graph or graphs, the tokenizer and RESULT.json: the part of the manifest that depends on the model.
Shapes: B batch, T tokens.
"""

from __future__ import annotations

import inspect
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from torch import nn
from torch.export import Dim
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    ChineseCLIPModel,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipModel,
)

from .pooling import pooling
from .source import ExportError

TOLERANCE = 1e-3  # largest absolute difference of an fp32 export from its original
# Shapes that the export did not see: one token, an odd length, the longest.
_EXPORT_SHAPE = (2, 8)
_LOAD = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True, "dtype": torch.float32}
# Positions of these begin behind the padding token's.
_SHIFTED = {"roberta", "xlm-roberta", "mpnet"}
# By model type: the class, and what its text tower is given. SigLIP was trained without a mask, on padding as well.
_TOWERS: dict[str, tuple[Any, list[str]]] = {
    "clip": (CLIPModel, ["input_ids", "attention_mask"]),
    "chinese_clip": (ChineseCLIPModel, ["input_ids", "attention_mask", "token_type_ids"]),
    "siglip": (SiglipModel, ["input_ids"]),
}

Inputs = dict[str, torch.Tensor]


class Graph(nn.Module):
    """One method of a model, taking its inputs in order and giving one tensor."""

    def __init__(self, model: Any, method: str, names: list[str], output: str, called: str = "") -> None:
        super().__init__()
        self.called = called or output
        self.model, self.method, self.names, self.output = model, method, names, output

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        found = getattr(self.model, self.method)(**dict(zip(self.names, values, strict=True)))
        return found if isinstance(found, torch.Tensor) else getattr(found, self.output)


def export_text(source: Path, artifact: Path, task: str) -> dict[str, Any]:
    """A BERT-like encoder: `logits` [B, labels] or `last_hidden_state` [B, T, width]."""
    classifies = task == "text-classification"
    model = _load(AutoModelForSequenceClassification if classifies else AutoModel, source)
    tokenizer, config = _save_tokenizer(source, artifact), model.config
    longest = _longest(config, tokenizer)
    names = ["input_ids", "attention_mask"]
    if "token_type_ids" in inspect.signature(model.forward).parameters and getattr(config, "type_vocab_size", 0) > 1:
        names.append("token_type_ids")
    output = "logits" if classifies else "last_hidden_state"
    graph = Graph(model, "forward", names, output)
    error = _export(graph, artifact / "model.onnx", lambda rows, length: _text(config, names, rows, length), longest)
    found = {
        "model": "model.onnx", "architecture": type(model).__name__, "tokenizer": "tokenizer.json",
        "pad_id": config.pad_token_id or 0, "max_length": longest, "inputs": names, "outputs": [output],
        "metrics": {"parity": error},
    }  # fmt: skip
    if not classifies:
        return {**found, **pooling(source), "dimensions": config.hidden_size}
    labels = [config.id2label[index] for index in range(config.num_labels)]
    kind = config.problem_type or ("regression" if config.num_labels == 1 else "single_label_classification")
    return {**found, "labels": labels, "problem_type": kind}


def export_towers(source: Path, artifact: Path) -> dict[str, Any]:
    """CLIP, Chinese-CLIP or SigLIP: both towers, each up to its projection, `text_embeds` and `image_embeds`
    [B, dimensions], not normalised."""
    family = AutoConfig.from_pretrained(source, trust_remote_code=False, local_files_only=True).model_type
    kind, names = _TOWERS[family]
    model: Any = _load(kind, source)
    config = model.config
    tokenizer = _save_tokenizer(source, artifact)
    longest = _longest(config.text_config, tokenizer)
    text = Graph(model, "get_text_features", names, "pooler_output", "text_embeds")
    image = Graph(model, "get_image_features", ["pixel_values"], "pooler_output", "image_embeds")
    pixels = (config.vision_config.num_channels, *[config.vision_config.image_size] * 2)
    text_error = _export(
        text, artifact / "text_model.onnx", lambda rows, length: _text(config.text_config, names, rows, length), longest
    )
    image_error = _export(
        image, artifact / "vision_model.onnx",
        lambda rows, length: {"pixel_values": torch.randn(rows, *pixels)}, longest,
    )  # fmt: skip
    found = {
        "models": {"text": "text_model.onnx", "image": "vision_model.onnx"}, "architecture": kind.__name__,
        "tokenizer": "tokenizer.json", "pad_id": tokenizer.pad_token_id or 0, "max_length": longest,
        "inputs": {"text": names, "image": ["pixel_values"]},
        "outputs": {"text": ["text_embeds"], "image": ["image_embeds"]},
        "dimensions": getattr(config, "projection_dim", config.vision_config.hidden_size), "normalize": True,
        "logit_scale": float(model.logit_scale.exp()),
        "processor": json.loads((source / "preprocessor_config.json").read_text()),
        "metrics": {"parity": {"text": text_error, "image": image_error}},
    }  # fmt: skip
    if family == "siglip":  # reads its padding, and scores each pair by itself
        found |= {"logit_bias": float(model.logit_bias), "padding_side": tokenizer.padding_side}
    return found


def _load(kind: Any, source: Path) -> Any:
    """The model with every weight it needs: one that is missing would be random."""
    model, info = kind.from_pretrained(source, output_loading_info=True, **_LOAD)
    missing = [name for name in info["missing_keys"] if "pooler." not in name and not name.endswith("position_ids")]
    if missing:
        raise ExportError(f"The weights lack {missing[0]} and {len(missing) - 1} more: this is not the whole model.")
    return model.eval()


def _save_tokenizer(source: Path, artifact: Path) -> Any:
    options = {"trust_remote_code": False, "local_files_only": True}
    tokenizer = None
    with suppress(ValueError, ImportError, OSError):
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
    if tokenizer is None or not tokenizer.is_fast:  # SigLIP's own class reads sentencepiece; its fast form lies beside
        tokenizer = PreTrainedTokenizerFast.from_pretrained(source, **options)
    tokenizer.save_pretrained(artifact)
    if not (artifact / "tokenizer.json").exists():
        raise ExportError("The tokenizer has no fast form (tokenizer.json), which serving needs.")
    return tokenizer


def _longest(config: Any, tokenizer: Any) -> int:
    positions = int(config.max_position_embeddings) - 2 * (config.model_type in _SHIFTED)
    return min(positions, int(tokenizer.model_max_length))


def _text(config: Any, names: list[str], rows: int, length: int) -> Inputs:
    """Random ids; every row but the first is padded, each further than the one before."""
    pad, end = config.pad_token_id or 0, config.eos_token_id
    ids = torch.randint(3, config.vocab_size, (rows, length))
    mask = torch.ones_like(ids)
    for row in range(rows):
        real = max(1, length - row * length // (rows + 1))
        ids[row, real:], mask[row, real:] = pad, 0
        if isinstance(end, int) and end < config.vocab_size:  # CLIP's vector is that of the end-of-text token
            ids[row, real - 1] = end
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)} | {
        name: torch.zeros_like(ids) for name in names if name not in {"input_ids", "attention_mask"}
    }


def _export(graph: Graph, path: Path, example: Any, longest: int) -> dict[str, Any]:
    """Write the graph and compare it with the original; what was measured. Raises ExportError."""
    torch.manual_seed(0)
    values = example(*_EXPORT_SHAPE)
    axes = {0: Dim("batch"), 1: Dim("sequence", max=longest)}
    shapes = tuple({0: axes[0]} if name == "pixel_values" else axes for name in graph.names)
    torch.onnx.export(
        graph.eval(), tuple(values[name] for name in graph.names), path, dynamo=True, dynamic_shapes=(shapes,),
        input_names=graph.names, output_names=[graph.called], external_data=False,
        verbose=False,
    )  # fmt: skip
    return _compare(graph, path, [example(*shape) for shape in ((1, 1), (3, min(19, longest)), (5, longest))])


def _compare(graph: Graph, path: Path, examples: list[Inputs]) -> dict[str, Any]:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for example in examples:
        values = [example[name] for name in graph.names]
        with torch.inference_mode():
            wanted = graph(*values).numpy()
        (got,) = session.run(None, {name: value.numpy() for name, value in zip(graph.names, values, strict=True)})
        difference = np.abs(got - wanted).max() if got.shape == wanted.shape else np.inf
        worst = max(worst, float(difference) if np.isfinite(difference) else float("inf"))
    if not worst <= TOLERANCE:
        raise ExportError(
            f"The export differs from the original by {worst:.2g}, more than {TOLERANCE}: not registered."
        )
    return {
        "max_error": worst,
        "tolerance": TOLERANCE,
        "shapes": [list(next(iter(one.values())).shape) for one in examples],
    }


def main() -> None:
    source, artifact, task, result = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    artifact.mkdir()
    is_towers = task == "zero-shot-image-classification"
    found = export_towers(source, artifact) if is_towers else export_text(source, artifact, task)
    result.write_text(json.dumps(found))


if __name__ == "__main__":
    try:
        main()
    except ExportError as error:
        sys.exit(str(error))
