"""Files of pictures in the storage."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID, uuid5

from django.core.files.base import File
from django.core.files.storage import default_storage

from apps.search.models import Collection, QueryPicture

_QUERIES = "search/queries"


def picture_id(collection: Collection, sha256: str) -> UUID:
    """The same content has the same id in a collection: stored twice, it is stored once."""
    return uuid5(collection.pk, sha256)


def folder_of(collection: Collection) -> str:
    return f"search/{collection.pk}"


def put(collection: Collection, picture: UUID, folder: Path, extension: str) -> tuple[str, str]:
    """Names of picture and thumbnail; what an attempt that was cut short has left there is replaced."""
    place = f"{folder_of(collection)}/{picture.hex[:2]}/{picture.hex}"
    return (
        _replace(f"{place}.{extension}", folder / "picture"),
        _replace(f"{place}.thumb.webp", folder / "thumbnail"),
    )


def put_query(query: QueryPicture, thumbnail: Path) -> str:
    return _replace(f"{_QUERIES}/{query.pk.hex}.webp", thumbnail)


def read(name: str) -> bytes:
    """Raises OSError."""
    with default_storage.open(name) as file:
        content: bytes = file.read()
    return content


@contextmanager
def local(file: File) -> Iterator[Path]:
    """A path of this machine; a copy where the storage is elsewhere. Raises FileNotFoundError."""
    path = ""
    with suppress(NotImplementedError):
        path = file.path  # type: ignore[attr-defined]
    if path:
        yield Path(path)
        return
    with tempfile.NamedTemporaryFile() as copy, file.open("rb") as content:
        for chunk in content.chunks():
            copy.write(chunk)
        copy.flush()
        yield Path(copy.name)


def remove(*names: str) -> None:
    """Those that are there."""
    for name in names:
        if name:
            default_storage.delete(name)


def _replace(name: str, source: Path) -> str:
    default_storage.delete(name)
    with source.open("rb") as file:
        return default_storage.save(name, File(file))
