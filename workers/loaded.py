"""One revision on its way through this worker: loading, warming, ready, draining."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from contracts.messages import RevisionReport, RevisionSpec
from workers import hardware
from workers.artifacts.bucket import ArtifactError, Unreachable
from workers.artifacts.cache import Held
from workers.streams import RedisStreams


class Engine(Protocol):
    """`stats()` has running, waiting and slots, and may have more counters; `busy_since()` is when the step that
    now runs began, in seconds of the monotonic clock, 0 between steps."""

    def submit(self, request: Any) -> Any: ...
    def abort(self, request_id: str) -> object: ...
    def stats(self) -> Any: ...
    def busy_since(self) -> float: ...
    def close(self, drain: bool = True) -> None: ...


Progress = Callable[[str, float], None]  # state (LOADING, WARMING) and how much is done, 0 to 1
Loader = Callable[[RevisionSpec, RedisStreams, Progress], Engine]

# How long a revision has to stand until it counts as working without having served a step, in seconds.
PROVEN_AFTER = 10.0
# Seconds until an artifact is fetched again whose store did not answer.
RETRY_FETCH = 30.0


@dataclass(slots=True)
class Loaded:
    spec: RevisionSpec
    state: str = "LOADING"
    reason: str = ""
    progress: float = 0.0
    memory_bytes: int = 0  # measured
    engine: Engine | None = None
    ready_at: float = 0.0  # seconds of the monotonic clock
    is_proven: bool = False
    held: Held | None = None  # the artifact on this machine's disk
    files: tuple[Any, ...] = ()  # what the artifact looked like when it failed
    retry_at: float = math.inf  # seconds of the monotonic clock

    def is_same(self, spec: RevisionSpec) -> bool:
        """Whether what is loaded is what `spec` asks for; estimates and shares do not change a model."""
        return settled(self.spec) == settled(spec)

    def has_worked(self) -> bool:
        """It has stood for a while, or computed something: it does not kill its process."""
        if self.state != "READY" or self.engine is None:
            return False
        return time.monotonic() - self.ready_at > PROVEN_AFTER or getattr(self.engine.stats(), "steps", 0) > 0

    def hangs(self, limit: float) -> bool:
        """Whether one step has been running for longer than `limit` seconds."""
        since = self.engine.busy_since() if self.engine is not None else 0.0
        return bool(since) and time.monotonic() - since > limit

    def fail(self, error: Exception) -> None:
        """It could not be loaded; what was held for it is let go. The worker goes on without it."""
        self.reason = _sentence(error)
        self.files = (look_of(self.spec.artifact), hardware.look().memory_free)
        if isinstance(error, Unreachable):
            self.retry_at = time.monotonic() + RETRY_FETCH
        self.release()
        self.state = "FAILED"

    def is_worth_a_try(self) -> bool:
        """A load that failed is tried again when the artifact's files, or the free memory, have changed; one whose
        artifact could not be fetched, after a while."""
        if self.state != "FAILED" or not self.files:
            return False
        if time.monotonic() >= self.retry_at:
            return True
        files, free = self.files
        has_changed = look_of(self.spec.artifact) != files
        return has_changed or free < self.spec.memory_bytes <= hardware.look().memory_free

    def release(self) -> None:
        """Let the artifact's place on the disk be taken by others."""
        if self.held is not None:
            self.held.release()
            self.held = None

    def report(self) -> RevisionReport:
        stats = self.engine.stats() if self.engine is not None else None
        return RevisionReport(
            state=self.state,
            reason=self.reason,
            progress=self.progress,
            memory_bytes=self.memory_bytes,
            running=stats.running if stats else 0,
            waiting=stats.waiting if stats else 0,
            slots=stats.slots if stats else 0,
            generation=self.spec.generation,
            counters=_counters(stats),
        )


class LoadRefused(RuntimeError):
    """The revision is not even tried; the message is one sentence for the administrator."""


def _sentence(error: Exception) -> str:
    """Why a revision could not be loaded."""
    if isinstance(error, MemoryError):
        return "There was not enough memory to load it."
    kind = "" if isinstance(error, LoadRefused | ArtifactError) else f"{type(error).__name__}: "
    return f"{kind}{error}"


def settled(spec: RevisionSpec) -> RevisionSpec:
    return replace(spec, memory_bytes=0, weight=0)


def look_of(artifact: str) -> tuple[Any, ...]:
    """Names, sizes and times of an artifact's files: another look is worth another try."""
    folder = Path(artifact)
    try:
        found = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()]
    except OSError:
        return ()
    return tuple(sorted(found))


def _counters(stats: Any) -> dict[str, float]:
    """Every number that the engine counts, by its name."""
    names = [name for name in getattr(stats, "__slots__", ()) if name not in {"running", "waiting", "slots"}]
    values = {name: getattr(stats, name) for name in names}
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
