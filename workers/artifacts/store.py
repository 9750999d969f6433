"""Where worker-train puts what it has made."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from contracts.artifacts import MANIFEST

from .bar import Bar
from .bucket import Bucket


class Store(Protocol):
    def manifests(self) -> Iterator[tuple[str, bytes]]:
        """Name and manifest of every artifact that is there."""

    def put(self, folder: Path, name: str) -> None:
        """Whole or not at all; `folder` is not needed any more."""


class Folder:
    """Artifacts beside each other on a disk, which workers may share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        for path in sorted(self._root.glob(f"*/{MANIFEST}")):
            try:
                yield path.parent.name, path.read_bytes()
            except OSError:  # somebody has just deleted it
                continue

    def put(self, folder: Path, name: str) -> None:
        if not (self._root / name).exists():
            folder.rename(self._root / name)


class InBucket:
    """Artifacts below an address; `progress` hears 0 to 1 of an upload."""

    def __init__(self, address: str, progress: Callable[[float], None]) -> None:
        self._bucket = Bucket(address)
        self._progress = progress

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        self._bucket.sweep()
        return self._bucket.manifests()

    def put(self, folder: Path, name: str) -> None:
        total = sum(path.stat().st_size for path in folder.iterdir())
        self._bucket.upload(folder, name, Bar(total, 0, self._progress))
        shutil.rmtree(folder)


def store_at(address: str, folder: Path, progress: Callable[[float], None]) -> Store:
    """The bucket at an address, or the folder where there is none."""
    return InBucket(address, progress) if address else Folder(folder)
