"""Where a job works: a hidden folder beside the artifacts, gone when the job is over or its worker is dead.

What another attempt goes on from lies in a second one, which stays until the job has succeeded, a week at most.
"""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".job-"
_KEPT_PREFIX = ".run-"
_KEPT_TIME = 7 * 86400  # seconds
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


@contextmanager
def kept_folder(root: Path, job_id: str) -> Iterator[Path]:
    """What earlier attempts of the job have left; removed when the block ends well.

    Waits until the process of an earlier attempt, which is being ended, has let go of it.
    """
    folder = _kept(root, job_id)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
        shutil.rmtree(folder)


def has_kept(root: Path, job_id: str) -> bool:
    """Another attempt would go on from something."""
    kept = _kept(root, job_id)
    on_mesh = (path.parent for path in kept.rglob(".metadata"))
    return any(kept.rglob("checkpoint.pt")) or any(folder.suffix != ".incomplete" for folder in on_mesh)


def _kept(root: Path, job_id: str) -> Path:
    return root / f"{_KEPT_PREFIX}{job_id}"


def forget(root: Path, now: float | None = None) -> None:
    """Remove what jobs have left that nobody tried again for a week."""
    oldest = (now or time.time()) - _KEPT_TIME
    for folder in sorted(root.glob(f"{_KEPT_PREFIX}*")):
        newest = max(path.stat().st_mtime for path in [folder, *folder.rglob("*")])
        if newest < oldest and not _is_locked(folder / _LOCK):
            shutil.rmtree(folder, ignore_errors=True)


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
