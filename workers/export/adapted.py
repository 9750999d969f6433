"""A model with LoRA to what others can use: the adapter as peft writes it, and the base with the adapter in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from contracts.adaptation import FILES

from .source import ExportError

TOLERANCE = 1e-4  # of a logit, as a share of 1 + the largest of its text: rounding grows with the layers


def write_adapter(model: Any, folder: Path, base: str) -> None:
    """adapter_config.json and adapter_model.safetensors. `base` is what its reader has to load first."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = base
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's, with nothing filled in


def merge(model: Any, original: Path, folder: Path, texts: Iterable[list[int]]) -> float:
    """A transformers folder of the base with the adapter in it; the largest difference of a logit over the texts.

    The model is spent afterwards. Raises ExportError when merging has changed what it says.
    """
    listed = list(texts)
    wanted = [_logits(model, ids) for ids in listed]
    merged = model.merge_and_unload()
    found = [_logits(merged, ids) for ids in listed]
    if not all(bool(torch.isfinite(one).all()) for one in found):
        raise ExportError("The adapted model computes numbers that are not finite: lower the learning rate.")
    pairs = zip(wanted, found, strict=True)
    error = max(float((one - other).abs().max() / (1 + one.abs().max())) for one, other in pairs)
    if error > TOLERANCE:
        raise ExportError(f"The merged model differs from base and adapter by {error:.2g}, more than {TOLERANCE}.")
    merged.save_pretrained(folder)
    _copy_words(original, folder)
    return error


def _logits(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(input_ids=torch.tensor([ids])).logits
    return logits


def _copy_words(original: Path, folder: Path) -> None:
    """Tokenizer, template and how answers end, as the original has them."""
    names = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "chat_template*",
             "generation_config.json", "*.model")  # fmt: skip
    for pattern in names:
        for path in original.glob(pattern):
            if path.is_file():
                shutil.copy(path, folder)


def model_card(manifest: dict[str, Any]) -> str:
    """Markdown with the head that registries read."""
    source, metrics = manifest["source"], manifest["metrics"]
    return "\n".join([
        f"---\nlicense: {manifest['licence'] or 'other'}\npipeline_tag: {manifest['task']}\nlibrary_name: peft\n---\n",
        f"# {manifest['title']}\n",
        f"{_about(manifest['precision'], source['base'])}\n",
        f"## Data\n\n{_data(source['data'])}\n",
        f"## Measured\n\n{_measured(metrics)}\n",
        f"## Training\n\n```json\n{json.dumps(source['training'], indent=1)}\n```\n",
        f"## The adapter alone\n\n{' and '.join(FILES)} are in peft's own format: "
        "`PeftModel.from_pretrained(base, FOLDER)` puts them on the base.\n",
        f"## Limits\n\n{_limits(source)}\n",
    ])  # fmt: skip


def _about(precision: str, base: dict[str, str]) -> str:
    return (
        f"{base['version']} ({base['origin']}), adapted with LoRA and merged, {precision}. "
        f"sha256 of the base's files: {base['sha256']}."
    )


def _data(data: dict[str, Any]) -> str:
    return (
        f"{data['name']}, sha256 {data['sha256']}. {data['train']:,} conversations to learn from, "
        f"{data['validation']:,} to validate with; {data['refused']:,} lines were left out. Only the answers were "
        f"learned: {data['tokens']:,} tokens."
    )


def _measured(metrics: dict[str, Any]) -> str:
    before, after, parity = metrics["before"], metrics["after"], metrics["parity"]
    pairs = (("base", before), ("adapted", after))
    rows = [f"| {name} | {one['loss']:.4f} | {100 * one['score']:.1f} % |" for name, one in pairs]
    table = "\n".join(["| on the validation part | loss | tokens foreseen |", "|---|---|---|", *rows])
    return (
        f"{table}\n\nThe merged model differs from base and adapter by at most {metrics['merge_error']:.1e} of a "
        f"logit. The graph agrees with it on {100 * parity['top1_agreement']:.1f} % of {parity['positions']} tokens, "
        f"divergence {parity['divergence']:.2g} nats."
    )


def _limits(source: dict[str, Any]) -> str:
    return (
        "What the base was like outside of these conversations was not measured again: it may have forgotten "
        f"some of it. One run with seed {source['training']['options']['seed']}; the validation part chose the "
        "step and is no test."
    )
