"""Uploads of models: a GGUF file, or a ZIP of a model's folder, put below the first of IMPORT_ROOTS."""

import shutil
import stat
import uuid
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.text import get_valid_filename
from django.utils.translation import gettext as _

from apps.jobs.models import Job
from apps.registry import zips
from apps.registry.services import InvalidImport, start_import

_MOST_FILES = 2000
_GROWTH = 200  # a file that unpacks to more than this many times its size is a bomb
_CHUNK = 2**20


def import_upload(*, upload: UploadedFile, **given: Any) -> Job:
    """As `start_import`, of an upload. Nothing is left when it is refused. Raises InvalidImport, JobRefused."""
    source = save_upload(upload=upload)
    try:
        return start_import(source=source, **given)
    except BaseException:
        root = Path(settings.IMPORT_ROOTS[0])
        shutil.rmtree(root / Path(source).relative_to(root).parts[0], ignore_errors=True)
        raise


def save_upload(*, upload: UploadedFile) -> str:
    """Store the upload in a folder of its own; its path, as `start_import` takes it. Raises InvalidImport.

    Nothing is left when it is refused. What the files hold is checked by the import itself.
    """
    name = get_valid_filename(Path(str(upload.name)).name)
    folder = Path(settings.IMPORT_ROOTS[0]) / f"upload-{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    try:
        if name.lower().endswith(".gguf"):
            return str(_save_file(upload, folder / name))
        if name.lower().endswith(".zip"):
            return str(_unpack(upload, folder))
        raise InvalidImport("upload", _("Upload a .gguf file, or a .zip of the model's folder."))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _save_file(upload: UploadedFile, path: Path) -> Path:
    if (upload.size or 0) > _most_bytes():
        raise _too_large()
    with path.open("wb") as file:
        for chunk in upload.chunks():
            file.write(chunk)
    return path


def _unpack(upload: UploadedFile, folder: Path) -> Path:
    """The model's folder; that is the only one inside when the archive has one at its top."""
    try:
        if zips.table_of_contents(upload)[1] > zips.MOST_BYTES:  # type: ignore[arg-type]
            raise _too_many()
        with zipfile.ZipFile(upload) as archive:  # type: ignore[arg-type]
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check(entries)
            left = _most_bytes()
            for entry in entries:
                left -= _extract(archive, entry, folder, left)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise InvalidImport("upload", _("The archive cannot be read: %(error)s") % {"error": error}) from error
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _check(entries: list[zipfile.ZipInfo]) -> None:
    """By what the archive says of itself; `_extract` counts again what really comes."""
    if len(entries) > _MOST_FILES:
        raise _too_many()
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
            raise InvalidImport("upload", _("%(name)s lies outside of the archive.") % {"name": entry.filename})
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise InvalidImport("upload", _("%(name)s is a link.") % {"name": entry.filename})
        if entry.file_size > _CHUNK and entry.file_size > _GROWTH * max(entry.compress_size, 1):
            raise _too_large()
    if sum(entry.file_size for entry in entries) > _most_bytes():
        raise _too_large()


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, most: int) -> int:
    path = folder / entry.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as source, path.open("xb") as target:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > most:
                raise _too_large()
            target.write(chunk)
    return written


def _most_bytes() -> int:
    return int(settings.IMPORT_MAX_GB * 10**9)


def _too_many() -> InvalidImport:
    return InvalidImport("upload", _("The archive has too many files."))


def _too_large() -> InvalidImport:
    return InvalidImport("upload", _("The model is larger than %(size)s GB.") % {"size": settings.IMPORT_MAX_GB})
