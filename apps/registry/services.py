"""Importing models, registering artifacts as versions of a model, deleting versions."""

import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max, ProtectedError
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.registry import artifacts
from apps.registry.artifacts import InvalidArtifact
from apps.registry.models import Model, ModelVersion
from contracts.adaptation import ADAPT_JOB

IMPORT = "import_model"  # kind of its jobs
TRAIN = "train"
NAME = r"[a-z0-9][a-z0-9_-]{0,79}"  # of a model
_TASKS = (
    "auto",
    "text-generation",
    "text-classification",
    "feature-extraction",
    "zero-shot-image-classification",
)
_PRECISIONS = ("auto", "fp32", "fp16", "int8", "int4")


class InvalidImport(ValueError):
    """The import, or training, cannot be started. `field` is the form's field that has to be changed."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class VersionInUse(Exception):
    """A deployment has or had the version; the message names it."""


def start_import(
    *,
    actor: AbstractBaseUser | None,
    source: str,
    name: str,
    title: str,
    task: str = "auto",
    precision: str = "auto",
    address: str | None = None,
) -> Job:
    """Send an import to worker-train; the version is registered when the job has ended. Raises InvalidImport."""
    path = Path(source)
    path = (path if path.is_absolute() else Path(settings.IMPORT_ROOTS[0]) / path).resolve()
    roots = [Path(root).resolve() for root in settings.IMPORT_ROOTS]
    if not any(path.is_relative_to(root) and path != root for root in roots):
        allowed = ", ".join(map(str, roots))
        raise InvalidImport("source", _("%(path)s is not below %(roots)s. Copy it there, or add its folder to "
                            "IMPORT_ROOTS.") % {"path": path, "roots": allowed})  # fmt: skip
    if not path.exists():
        raise InvalidImport("source", _("%(path)s does not exist.") % {"path": path})
    if not re.fullmatch(NAME, name):
        raise InvalidImport("name", _("A name has small letters, digits and hyphens, 80 at most."))
    if task not in _TASKS:
        raise InvalidImport("task", _("The task is one of %(tasks)s.") % {"tasks": ", ".join(_TASKS)})
    if precision not in _PRECISIONS:
        raise InvalidImport("precision", _("The precision is one of %(all)s.") % {"all": ", ".join(_PRECISIONS)})
    arguments = {
        "source": str(path), "name": name, "title": title or name, "task": task, "precision": precision,
        "roots": [str(root) for root in roots], "most_bytes": settings.IMPORT_MAX_GB * 10**9,
        "store": settings.ARTIFACT_STORE,
    }  # fmt: skip
    return jobs.create(kind=IMPORT, title=title or name, arguments=arguments, actor=actor, address=address)


def register_made(*, job: Job) -> ModelVersion:
    """Register what a job made; the version's id goes into the job's result. Raises InvalidArtifact."""
    artifact = str(job.result.get("artifact", ""))
    version = _register(artifact, name=job.arguments["name"], title=job.arguments["title"])
    if version.digest != job.result.get("digest"):
        raise InvalidArtifact(_("The artifact was changed after it was made."))
    job.result = {**job.result, "version": version.pk}
    job.save(update_fields=["result"])
    action, more = _how(job)
    record(action=action, target=version, actor=job.created_by, part="import", digest=version.digest, **more)
    return version


def _how(job: Job) -> tuple[str, dict[str, Any]]:
    """What the audit log says of the way a version was made."""
    given = job.arguments
    if job.kind == TRAIN:
        return "model.train", {"recipe": given["recipe"], "seed": given["changes"]["seed"]}
    if job.kind == ADAPT_JOB:
        base = given["base"]["version"]
        return "model.adapt", {"base": base, "file": given["data_name"], "sha256": given["data_sha256"]}
    return "model.import", {}


@transaction.atomic
def delete_version(*, actor: AbstractBaseUser | None, version: ModelVersion, address: str | None = None) -> None:
    """Remove a version that no deployment has; on commit its files, when no other version shares it.

    Raises VersionInUse.
    """
    label, artifact = str(version), version.artifact
    record(action="model.delete_version", target=version, actor=actor, address=address, digest=version.digest)
    try:
        with transaction.atomic():
            version.delete()
    except ProtectedError as error:
        users = sorted({str(one) for one in error.protected_objects})
        raise VersionInUse(
            _("%(version)s is used by %(users)s.") % {"version": label, "users": ", ".join(users)}
        ) from error
    if not ModelVersion.objects.filter(artifact=artifact).exists():
        transaction.on_commit(lambda: artifacts.delete(artifact))


def register_version(*, artifact: Path, name: str, title: str) -> ModelVersion:
    """Register the artifact in a folder of this machine; it is copied into the bucket, if there is one.

    Raises InvalidArtifact.
    """
    return _register(artifacts.take_in(artifact), name, title)


def _register(artifact: str, name: str, title: str) -> ModelVersion:
    """The newest version of model `name`; the same artifact twice is one version."""
    manifest, digest = artifacts.read(artifact)
    with transaction.atomic():
        return _add_version(artifact, manifest, digest, name=name, title=title)


def _add_version(artifact: str, manifest: dict[str, Any], digest: str, *, name: str, title: str) -> ModelVersion:
    model, _created = Model.objects.get_or_create(
        name=name,
        defaults={"title": title, "task": manifest["task"], "licence": manifest.get("licence", "")},
    )
    if model.task != manifest["task"]:
        raise InvalidArtifact(
            f"{name} is a model for {model.task}, this one is for {manifest['task']}. Use another name."
        )
    Model.objects.select_for_update().get(pk=model.pk)
    existing = model.versions.filter(digest=digest).first()
    if existing is not None:
        return existing
    newest = model.versions.aggregate(newest=Max("number"))["newest"] or 0
    return ModelVersion.objects.create(
        model=model, number=newest + 1, artifact=artifact, digest=digest, manifest=manifest
    )
