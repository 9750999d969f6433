"""Tiny randomly initialised encoders, exported to artifacts: what transformers computes is the reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, ViTConfig, ViTModel

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"the cat sat on a mat and looked at two dogs near old river".split()]


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def bert_config(**options: Any) -> BertConfig:
    return BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        **options,
    )


class _First(torch.nn.Module):
    """Only the output that the artifact names."""

    def __init__(self, model: torch.nn.Module, output: str) -> None:
        super().__init__()
        self.model, self.output = model, output

    def forward(self, input_ids, attention_mask, token_type_ids):
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        return getattr(self.model(**inputs), self.output)


class _Pixels(torch.nn.Module):
    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model(pixel_values).last_hidden_state


def text_artifact(folder: Path, model: torch.nn.Module, output: str, **manifest: Any) -> Path:
    ids = torch.tensor([[2, 4, 5, 3], [2, 6, 3, 0]])
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence", max=64)}
    torch.onnx.export(
        _First(model, output).eval(),
        (ids, torch.ones_like(ids), torch.zeros_like(ids)),
        str(folder / "model.onnx"),
        input_names=names,
        output_names=[output],
        dynamic_shapes=[axes, axes, axes],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    tokenizer().save(str(folder / "tokenizer.json"))
    values = {"model": "model.onnx", "tokenizer": "tokenizer.json", "max_length": 32, "inputs": names}
    return write_manifest(folder, {**values, "outputs": [output], **manifest})


def image_artifact(folder: Path, model: ViTModel, **manifest: Any) -> Path:
    pixels = torch.zeros(2, 3, 32, 32)
    torch.onnx.export(
        _Pixels(model).eval(),
        (pixels,),
        str(folder / "model.onnx"),
        input_names=["pixel_values"],
        output_names=["last_hidden_state"],
        dynamic_shapes=[{0: torch.export.Dim("batch")}],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    return write_manifest(folder, {"model": "model.onnx", **manifest})


def write_manifest(folder: Path, values: dict[str, Any]) -> Path:
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "name": "tiny", **values}))
    return folder


def bert() -> BertModel:
    torch.manual_seed(1)
    return BertModel(bert_config()).eval()


def classifier(labels: int, problem_type: str) -> BertForSequenceClassification:
    torch.manual_seed(2)
    config = bert_config(num_labels=labels, problem_type=problem_type, initializer_range=0.5)
    return BertForSequenceClassification(config).eval()


def vit() -> ViTModel:
    torch.manual_seed(3)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=32, patch_size=8
    )
    return ViTModel(config).eval()
