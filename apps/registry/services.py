"""Registering artifacts as versions of a model."""

import hashlib
import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from apps.registry.models import Model, ModelVersion


class InvalidArtifact(ValueError):
    """The folder cannot be registered; the message says why."""


def read_manifest(artifact: Path) -> tuple[dict[str, Any], str]:
    """The manifest of an artifact folder and its sha256.

    Raises InvalidArtifact when a file is missing, unreadable or not the one the manifest lists.
    """
    path = artifact / "manifest.json"
    try:
        raw = path.read_bytes()
        manifest = json.loads(raw)
    except (OSError, ValueError) as error:
        raise InvalidArtifact(f"{path} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or not manifest.get("task"):
        raise InvalidArtifact(f"{path} names no task.")
    for name in manifest.get("files", {}):
        if not (artifact / name).is_file():
            raise InvalidArtifact(f"{artifact / name} is listed in the manifest but missing.")
    return manifest, hashlib.sha256(raw).hexdigest()


@transaction.atomic
def register_version(*, artifact: Path, name: str, title: str) -> ModelVersion:
    """Register the artifact as the newest version of model `name`; the same artifact twice is one version."""
    manifest, digest = read_manifest(artifact)
    model, _ = Model.objects.get_or_create(
        name=name,
        defaults={"title": title, "task": manifest["task"], "licence": manifest.get("licence", "")},
    )
    Model.objects.select_for_update().get(pk=model.pk)
    existing = model.versions.filter(digest=digest).first()
    if existing is not None:
        return existing
    newest = model.versions.aggregate(newest=Max("number"))["newest"] or 0
    return ModelVersion.objects.create(
        model=model, number=newest + 1, artifact=_relative(artifact), digest=digest, manifest=manifest
    )


def _relative(artifact: Path) -> str:
    """Below ARTIFACTS_DIR the path is kept relative, so that the folder can move."""
    root = Path(settings.ARTIFACTS_DIR).resolve()
    path = artifact.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
