"""Artifacts as this side sees them: files below ARTIFACTS_DIR, or in the bucket that ARTIFACT_STORE names.

An artifact is called by its folder's name in either; one outside of both, by its absolute path.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage, Storage

from contracts import artifacts
from contracts.artifacts import MANIFEST


class InvalidArtifact(ValueError):
    """The folder cannot be registered; the message says why."""


def address(artifact: str) -> str:
    """What a worker is told: a folder, or an address in the bucket."""
    return f"{settings.ARTIFACT_STORE}/{artifact}" if _is_in_bucket(artifact) else str(_folder(artifact))


def take_in(folder: Path) -> str:
    """How the artifact in a folder of this machine is called from now on. It is copied into the bucket, if any.

    Raises InvalidArtifact.
    """
    path, root = folder.resolve(), Path(settings.ARTIFACTS_DIR).resolve()
    if not settings.ARTIFACT_STORE:
        return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    manifest, digest = read(str(path))
    name = f"{manifest.get('name') or path.name}-{digest[:16]}"
    _copy(path, storage(name), [*manifest.get("files", {}), MANIFEST])
    return name


def read(artifact: str) -> tuple[dict[str, Any], str]:
    """The manifest and its sha256.

    Raises InvalidArtifact when a file is missing, unreadable or not the one the manifest lists. Files of a bucket
    are compared by their sizes: a worker that fetches one compares its sha256.
    """
    files, where = storage(artifact), address(artifact)
    try:
        with files.open(MANIFEST) as file:
            raw = file.read()
        manifest = json.loads(raw)
    except (*_failures(), ValueError) as error:
        raise InvalidArtifact(f"{where}/{MANIFEST} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or not manifest.get("task"):
        raise InvalidArtifact(f"{where}/{MANIFEST} names no task.")
    for name, said in manifest.get("files", {}).items():
        _check(files, where, name, said)
    return manifest, hashlib.sha256(raw).hexdigest()


def delete(artifact: str) -> None:
    """Remove its files; one outside of the store is not ours to delete."""
    if _is_in_bucket(artifact):
        files = storage(artifact)
        for name in sorted(_names(files), key=lambda name: name != MANIFEST):
            files.delete(name)
    elif not Path(artifact).is_absolute():
        shutil.rmtree(_folder(artifact), ignore_errors=True)


def storage(artifact: str) -> Storage:
    """The artifact's files, each by its name in the manifest."""
    if not _is_in_bucket(artifact):
        return FileSystemStorage(_folder(artifact))
    from storages.backends.s3 import S3Storage

    bucket, prefix = artifacts.split(settings.ARTIFACT_STORE)
    return S3Storage(
        bucket_name=bucket,
        location=str(PurePosixPath(prefix) / artifact),
        addressing_style=artifacts.addressing_style(),
        default_acl=None,
        gzip=False,
    )


def _is_in_bucket(artifact: str) -> bool:
    return bool(settings.ARTIFACT_STORE) and not Path(artifact).is_absolute()


def _folder(artifact: str) -> Path:
    return Path(settings.ARTIFACTS_DIR) / artifact


def _check(files: Storage, where: str, name: str, said: dict[str, Any]) -> None:
    try:
        if not files.exists(name):
            raise InvalidArtifact(f"{where}/{name} is listed in the manifest but missing.")
        differs = "its sha256" if isinstance(files, FileSystemStorage) else "its size"
        is_same = _is_same(files, name, said)
    except SuspiciousOperation as error:
        raise InvalidArtifact(f"{name} lies outside of {where}.") from error
    except _failures() as error:
        raise InvalidArtifact(f"{where}/{name} cannot be read: {error}") from error
    if not is_same:
        raise InvalidArtifact(f"{where}/{name} is not the file that the manifest lists: {differs} is another.")


def _is_same(files: Storage, name: str, said: dict[str, Any]) -> bool:
    if not isinstance(files, FileSystemStorage):
        return int(files.size(name)) == said.get("bytes")
    path = Path(files.path(name)).resolve()
    if not path.is_relative_to(Path(files.location).resolve()):  # a link
        raise SuspiciousOperation(name)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == said.get("sha256")


def _copy(folder: Path, target: Storage, names: list[str]) -> None:
    """The manifest last: what was interrupted is no artifact. One that is there already is left alone."""
    try:
        if target.exists(MANIFEST):
            return
        for name in names:
            with (folder / name).open("rb") as file:
                target.save(name, File(file))
    except _failures() as error:
        raise InvalidArtifact(f"{folder} cannot be copied to {settings.ARTIFACT_STORE}: {error}") from error


def _names(files: Storage, folder: str = "") -> Iterator[str]:
    folders, found = files.listdir(folder)
    yield from (str(PurePosixPath(folder) / name) for name in found)
    for inner in folders:
        yield from _names(files, str(PurePosixPath(folder) / inner))


def _failures() -> tuple[type[Exception], ...]:
    """What a storage may raise; asked for when something did, so that boto3 is loaded only where it is used."""
    if not settings.ARTIFACT_STORE:
        return (OSError,)
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return (OSError, Boto3Error, BotoCoreError, ClientError)
