"""The artifacts of a bucket on this machine's disk, by the sha256 of their manifests.

    ARTIFACT_CACHE/<digest>/            a whole artifact; a rename put it there
    ARTIFACT_CACHE/.partial-<digest>/   one on its way; files that came whole are kept for the next try
    ARTIFACT_CACHE/.locks/<digest>      locked shared by who has it loaded, exclusively by who removes it;
                                        its time of change is when the artifact was last asked for

The kernel gives locks back however a process ends, so nothing has to be cleaned up after a killed worker.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from contracts.artifacts import MANIFEST, is_remote

from .bar import Bar, Progress
from .bucket import ArtifactError, Bucket

_TRIES = 3  # downloads of a file that comes damaged
_PARTIAL = ".partial-"
_REMOVED = ".removed-"
_DEFAULT_GB = 100


@dataclass(slots=True)
class Held:
    """An artifact's folder, which nobody removes until `release`."""

    folder: Path
    _lock: IO[str] | None = None

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()


def hold(artifact: str, digest: str, progress: Progress = lambda fraction: None) -> Held:
    """The artifact as a folder of this machine; one that is in a bucket is fetched unless it was before.

    Raises ArtifactError when it cannot be had whole, Unreachable when the bucket does not answer.
    """
    return cache().hold(artifact, digest, progress) if is_remote(artifact) else Held(Path(artifact))


def cache() -> Cache:
    """As the environment says: ARTIFACT_CACHE, else a folder in VAR_DIR; ARTIFACT_CACHE_GB."""
    folder = os.environ.get("ARTIFACT_CACHE") or Path(os.environ.get("VAR_DIR", "var")) / "artifact-cache"
    return Cache(Path(folder).resolve(), int(float(os.environ.get("ARTIFACT_CACHE_GB", _DEFAULT_GB)) * 10**9))


@dataclass(frozen=True, slots=True)
class Cache:
    """Any number of processes may share the folder. `most_bytes` counts whole artifacts and those on their way."""

    root: Path
    most_bytes: int

    def hold(self, artifact: str, digest: str, progress: Progress) -> Held:
        (self.root / ".locks").mkdir(parents=True, exist_ok=True)
        folder = self.root / digest
        lock = self._open(digest)
        try:
            while not self._has(folder, lock):  # again: between two locks somebody may have made room of it
                with self._one_download():
                    if not folder.exists():
                        self._fetch(artifact, digest, progress)
            os.utime(lock.name)
        except BaseException:
            lock.close()
            raise
        return Held(folder, lock)

    def _has(self, folder: Path, lock: IO[str]) -> bool:
        """Locked when it is there, and only then: who fetches it must not wait for those who have it."""
        fcntl.flock(lock, fcntl.LOCK_SH)
        is_there = folder.exists()
        if not is_there:
            fcntl.flock(lock, fcntl.LOCK_UN)
        return is_there

    def _fetch(self, artifact: str, digest: str, progress: Progress) -> None:
        """Download into a hidden folder, compare every file, rename."""
        bucket = Bucket(artifact)
        raw = bucket.read(MANIFEST)
        if hashlib.sha256(raw).hexdigest() != digest:
            raise ArtifactError(f"{artifact}/{MANIFEST} is not the one that was registered: its sha256 is another.")
        files: dict[str, dict[str, Any]] = json.loads(raw).get("files", {})
        partial = self.root / f"{_PARTIAL}{digest}"
        _clear(partial, files)
        missing = {name: said for name, said in files.items() if not _is_intact(partial, name, said)}
        total = sum(int(said["bytes"]) for said in files.values())
        needed = sum(int(said["bytes"]) for said in missing.values())
        self._make_room(digest, total, needed)
        partial.mkdir(exist_ok=True)
        bar = Bar(total, total - needed, progress)
        for name, said in missing.items():
            _download(bucket, partial, name, said, bar)
        (partial / MANIFEST).write_bytes(raw)
        partial.rename(self.root / digest)

    def _make_room(self, digest: str, total: int, needed: int) -> None:
        """Remove artifacts that nobody has loaded, those not asked for the longest first, until this one fits."""
        for left in self.root.glob(f"{_REMOVED}*"):
            shutil.rmtree(left, ignore_errors=True)
        others = {path: _size(path) for path in self._folders() if not path.name.endswith(digest)}
        kept = sum(others.values())
        for path in sorted(others, key=self._last_use):
            if kept + total <= self.most_bytes and shutil.disk_usage(self.root).free >= needed:
                return
            if self._remove(path):
                kept -= others[path]
        if kept + total > self.most_bytes:
            raise ArtifactError(
                f"The artifact has {total / 1e9:.1f} GB; {kept / 1e9:.1f} of the {self.most_bytes / 1e9:.1f} GB of the "
                "cache are loaded. Raise ARTIFACT_CACHE_GB."
            )
        if (free := shutil.disk_usage(self.root).free) < needed:
            raise ArtifactError(f"The disk of {self.root} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} are needed.")

    def _folders(self) -> list[Path]:
        """Whole artifacts and those on their way."""
        return [path for path in self.root.iterdir() if not path.name.startswith(".") or path.name.startswith(_PARTIAL)]

    def _last_use(self, path: Path) -> float:
        lock = self._lock_path(path)
        return lock.stat().st_mtime if lock.exists() else 0.0

    def _remove(self, path: Path) -> bool:
        """False when somebody has it loaded."""
        with self._lock_path(path).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            gone = path.rename(self.root / f"{_REMOVED}{path.name}")
            shutil.rmtree(gone, ignore_errors=True)
            return True

    def _lock_path(self, path: Path) -> Path:
        return self.root / ".locks" / path.name.removeprefix(_PARTIAL)

    def _open(self, digest: str) -> IO[str]:
        return (self.root / ".locks" / digest).open("a")

    @contextmanager
    def _one_download(self) -> Iterator[None]:
        """One at a time on a machine: they would share its line anyway, nothing is fetched twice, and the room that
        one has made is not taken by another."""
        with (self.root / ".download.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _download(bucket: Bucket, partial: Path, name: str, said: dict[str, Any], bar: Bar) -> None:
    path = partial / name
    if not path.resolve().is_relative_to(partial.resolve()):
        raise ArtifactError(f"{bucket.address} lists {name}, which lies outside of it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    before = bar.done
    for _try in range(_TRIES):
        bar.done = before
        bucket.download(name, path, bar)
        if _is_intact(partial, name, said):
            return
        path.unlink()
    raise ArtifactError(f"{bucket.address}/{name} is not the file that the manifest lists: its sha256 is another.")


def _clear(partial: Path, files: Collection[str]) -> None:
    """Pieces of a file whose download was killed lie under names of their own."""
    for path in [path for path in partial.rglob("*") if path.is_file()]:
        if str(path.relative_to(partial)) not in files:
            path.unlink()


def _is_intact(folder: Path, name: str, said: dict[str, Any]) -> bool:
    path = folder / name
    if not path.is_file() or path.stat().st_size != int(said["bytes"]):
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == said["sha256"]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
