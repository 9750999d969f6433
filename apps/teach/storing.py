"""Files of examples in the storage."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import default_storage

from apps.teach.models import Example


def put(example: Example, thumbnail: Path) -> str:
    """Name of the small copy; what an attempt that was cut short has left there is replaced."""
    name = f"teach/{example.classifier_id}/{example.pk}.webp"
    default_storage.delete(name)
    with thumbnail.open("rb") as file:
        return default_storage.save(name, File(file))


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
