"""anomaly-detection: new readings of detectors to scores (contracts/anomaly.py).

Inputs {"items": [ScoreItem]}, RESULT {"items": [ScoreResult]}. The deployment's artifact says that this task is served;
the detectors are artifacts of their own, named by the items, and opened when first asked for. What they remember comes
with the item and goes with the result: any worker can take the next one.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from contracts.anomaly import MOST_ITEMS, MOST_ROWS, TASK, ScoreItem, ScoreResult
from contracts.messages import ErrorType, InferenceRequest, RevisionSpec
from workers.backends.base import BackendError
from workers.detect import fitted
from workers.detect.fitted import BadItem, Fitted
from workers.detect.graph import Session
from workers.engine.cost_table import CostTable
from workers.engine.encoder import EncoderEngine, Lanes, Prepared
from workers.engine.intake import Refused
from workers.engine.output import Sink

from .encoder_loading import Machine, Progress, silent
from .manifest import read_manifest, require

__all__ = ["TASK", "load_engine"]

log = logging.getLogger(__name__)

ROOM = 384_000_000  # bytes that open detectors may take: thousands of small ones, some hundred with a network
_SESSION, _OPEN = 1_500_000, 4_000  # bytes, as measured: of a network's session, of an open detector beside its numbers
_SECONDS = 0.002  # of an item, for the queue: they are never padded
Folder = Callable[[str, str], AbstractContextManager[Path]]  # address and digest to a folder on this machine


def local(artifact: str, digest: str) -> AbstractContextManager[Path]:
    """An artifact on a disk that this worker sees."""
    return nullcontext(Path(artifact))


class Shelf:
    """Detectors that were asked for lately, by the digest of their artifacts. One thread owns it."""

    def __init__(self, folder: Folder = local, room: int = ROOM) -> None:
        self._folder, self._room, self._taken = folder, room, 0
        self._open: OrderedDict[str, tuple[Fitted, list[Session], int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def take(self, artifact: str, digest: str) -> Fitted:
        """Raises BadItem, BackendError."""
        if digest not in self._open:
            self._open[digest] = self._load(artifact, digest)
            self._taken += self._open[digest][2]
        self._open.move_to_end(digest)
        while self._taken > self._room and len(self._open) > 1:
            _, (_, sessions, size) = self._open.popitem(last=False)
            self._taken -= size
            _close(sessions)
        return self._open[digest][0]

    def close(self) -> None:
        for _, sessions, _ in self._open.values():
            _close(sessions)
        self._open.clear()
        self._taken = 0

    def _load(self, artifact: str, digest: str) -> tuple[Fitted, list[Session], int]:
        """With the bytes that it takes."""
        sessions: list[Session] = []

        def graph(path: Path) -> Session:
            sessions.append(Session(path))
            return sessions[-1]

        with self._folder(artifact, digest) as folder:
            if _digest(folder) != digest:
                raise BadItem("The detector is not the one that was asked for. Fit it again.")
            manifest = read_manifest(folder, TASK)
            require(manifest, "detector")
            found = fitted.load(folder, manifest, graph)
            return found, sessions, _OPEN + (folder / fitted.ARRAYS).stat().st_size + _SESSION * len(sessions)


def _close(sessions: Sequence[Session]) -> None:
    for session in sessions:
        session.close()


def _digest(folder: Path) -> str:
    try:
        return hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    except OSError as error:
        raise BadItem("The detector's files are gone. Fit it again.") from error


class AnomalyDetection:
    """The pipeline, whatever detectors it is asked for."""

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        """An item each; a reading counts as a token."""
        items = request.inputs.get("items")
        if not isinstance(items, list) or not items or len(items) > MOST_ITEMS:
            raise Refused(ErrorType.INVALID_REQUEST, f"items: must be a list of 1 to {MOST_ITEMS} items", param="items")
        return [Prepared(item, 1, len(item.times)) for item in map(_item, items)]

    def answer(self, request: InferenceRequest, results: list[ScoreResult]) -> dict[str, Any]:
        return {"items": [asdict(result) for result in results]}


def _item(values: Any) -> ScoreItem:
    try:
        item = ScoreItem.from_dict(values)
    except (TypeError, ValueError, AttributeError) as error:
        raise Refused(ErrorType.INVALID_REQUEST, f"items: {error}", param="items") from error
    if not isinstance(item.times, list) or len(item.times) > MOST_ROWS:
        raise Refused(ErrorType.INVALID_REQUEST, f"items: at most {MOST_ROWS} times an item", param="items")
    return item


class AnomalyLane:
    """Items one after the other: what one costs does not depend on the others."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def run(self, payloads: Sequence[ScoreItem]) -> list[ScoreResult]:
        return [self._respond(item) for item in payloads]

    def pin(self) -> None:
        """It takes whatever core there is."""

    def close(self) -> None:
        self._shelf.close()

    def _respond(self, item: ScoreItem) -> ScoreResult:
        try:
            with np.errstate(all="ignore"):
                return self._shelf.take(item.artifact, item.digest).respond(item)
        except (BadItem, BackendError) as error:
            return ScoreResult(error=str(error))
        except Exception:  # one detector must not take the others with it
            log.exception("detector %s failed", item.digest)
            return ScoreResult(error="The detector failed. The administrator finds the reason in the log.")


def load_engine(
    artifact: Path, spec: RevisionSpec, sink: Sink, machine: Machine, progress: Progress = silent,
    folder: Folder = local,
) -> EncoderEngine:  # fmt: skip
    """A warm engine, not yet started. Raises BackendError when the artifact is for another task."""
    progress("LOADING", 0.0)
    manifest = read_manifest(artifact, TASK)
    shelf = Shelf(folder)
    if "detector" in manifest:
        shelf.take(str(artifact), hashlib.sha256((artifact / "manifest.json").read_bytes()).hexdigest())
    sizes = [size for size in (1, 2, 4, 8, 16) if size <= max(1, spec.max_batch_size)]
    table = CostTable({size: {1: _SECONDS * size} for size in sizes}, 1)
    lanes = Lanes([AnomalyLane(shelf)], turn=partial(machine.cores.turn, spec.key, 1))
    return EncoderEngine(AnomalyDetection(), lanes, table, sink)
