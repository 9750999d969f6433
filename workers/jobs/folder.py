"""Where a job works: a hidden folder beside the artifacts, gone when the job is over or its worker is dead."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".job-"
_LOCK = ".lock"


@contextmanager
def job_folder(root: Path, job_id: str) -> Iterator[Path]:
    """An empty folder below `root`, removed afterwards whatever happens.

    A lock that the kernel gives back when this process dies tells `sweep` that somebody works there; unlike a
    process id it holds across containers that share the disk.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder = root / f"{_PREFIX}{job_id}"
    with _only_one(root):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        lock = (folder / _LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


def sweep(root: Path) -> list[str]:
    """Remove the folders of dead workers; returns their names."""
    if not root.exists():
        return []
    with _only_one(root):
        dead = [folder for folder in sorted(root.glob(f"{_PREFIX}*")) if not _is_locked(folder / _LOCK)]
        for folder in dead:
            shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in dead]


@contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Making a folder and locking it are two steps; nobody sweeps in between."""
    with (root / ".jobs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_locked(path: Path) -> bool:
    try:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
