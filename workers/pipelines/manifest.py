"""What an artifact says of itself (docs/artifacts.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workers.backends.base import BackendError


def read_manifest(artifact: Path, task: str) -> dict[str, Any]:
    """Raises BackendError when the folder is not an artifact for this task."""
    try:
        manifest: dict[str, Any] = json.loads((artifact / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise BackendError(f"{artifact.name} has no readable manifest.json: {error}") from error
    if manifest.get("task") != task:
        raise BackendError(f"{artifact.name} is made for {manifest.get('task')}, not for {task}")
    return manifest


def require(manifest: dict[str, Any], *keys: str) -> None:
    """Raises BackendError that names the first key that is missing."""
    for key in keys:
        if key not in manifest:
            raise BackendError(f"The manifest of {manifest.get('name', 'the artifact')} has no {key}")
