"""What an artifact folder says of itself, so that nobody has to guess or trust."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .parity import Parity
from .source import Source, sha256_of

_PACKAGES = ("onnxruntime", "onnxruntime-genai", "transformers", "torch")


def write_manifest(
    artifact: Path,
    source: Source,
    precision: str,
    measured: Parity,
    *,
    exporter: int,
    options: tuple[str, ...],
) -> None:
    """Writes manifest.json last, with the hash of every other file; its presence means complete."""
    values = {
        "name": source.name,
        "title": source.title,
        "task": "text-generation",
        "precision": precision,
        "licence": source.licence,
        "source": {
            "origin": source.origin,
            "package": f"{source.package}=={source.version}",
            "file": source.file,
            "sha256": source.sha256,
        },
        **decoder_values(artifact),
        "metrics": {"parity": asdict(measured)},
        "command": f"python -m workers.export.chat_model --precision {precision}",
        "builder_options": list(options),
        "exporter": exporter,
    }
    seal(artifact, values)


def seal(artifact: Path, values: dict[str, Any]) -> str:
    """Writes manifest.json from what is known of the model; its sha256, by which the artifact is called."""
    manifest = {
        "format": 1,
        **values,
        "versions": {name: version(name) for name in _PACKAGES},
        "files": {path.name: describe(path) for path in sorted(artifact.iterdir()) if path.name != "manifest.json"},
    }
    (artifact / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return sha256_of(artifact / "manifest.json")


def decoder_values(artifact: Path) -> dict[str, Any]:
    """What a manifest says of a decoder, from the files of onnxruntime-genai's builder."""
    decoder, model = _genai(artifact)
    return {
        "model": decoder.get("filename", "model.onnx"),
        "context_length": model["context_length"],
        "kv": {
            "layers": decoder["num_hidden_layers"],
            "heads": decoder["num_key_value_heads"],
            "head_dim": decoder["head_size"],
        },
        "eos_ids": _eos_ids(artifact, model),
    }


def _genai(artifact: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    model = json.loads((artifact / "genai_config.json").read_text())["model"]
    return model["decoder"], model


def _eos_ids(artifact: Path, model: dict[str, Any]) -> list[int]:
    """From the generation configuration, which may name several; else from the graph's own."""
    path = artifact / "generation_config.json"
    generation = json.loads(path.read_text()) if path.exists() else {}
    ids = generation.get("eos_token_id", model["eos_token_id"])
    return [ids] if isinstance(ids, int) else list(ids)


def describe(path: Path) -> dict[str, Any]:
    return {"sha256": sha256_of(path), "bytes": path.stat().st_size}
