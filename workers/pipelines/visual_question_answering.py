"""visual-question-answering: a picture and a question to answers, through a bridge that has some (bridge.py).

The towers are there for the bridge: their vectors nobody has trained, so every request goes to it.
"""

from __future__ import annotations

from pathlib import Path

from contracts.messages import RevisionSpec
from workers.backends.base import BackendError
from workers.engine.output import Sink

from .encoder_loading import Machine, Progress, silent
from .manifest import read_manifest, require
from .zero_shot_image_classification import Towers, load_parts

TASK = "visual-question-answering"


def load_engine(
    artifact: Path, spec: RevisionSpec, sink: Sink, machine: Machine, progress: Progress = silent
) -> Towers:
    """All parts warm, not yet started. Raises BackendError."""
    manifest = read_manifest(artifact, TASK)
    require(manifest, "labels")
    parts = load_parts(manifest, artifact, spec, sink, machine, progress)
    if "bridge" not in parts:
        raise BackendError(f"The manifest of {manifest.get('name', 'the artifact')} names no bridge under models")
    return Towers(parts, always="bridge")
