"""Files in the storage, wherever it is."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import default_storage


def replace(name: str, source: Path) -> str:
    """The name that it has; what an attempt that was cut short has left there is gone."""
    default_storage.delete(name)
    with source.open("rb") as file:
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
