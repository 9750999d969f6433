"""The graph of V4 in onnxruntime, as its detector asks it."""

from __future__ import annotations

from pathlib import Path

from workers.backends.encoder import OrtEncoder

from .v4 import Floats


class Session:
    """One thread at a time. Raises BackendError when the file is no graph."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._encoder = OrtEncoder(path, output="tokens", threads=threads)

    def __call__(self, readings: Floats, seen: Floats, state: Floats) -> list[Floats]:
        feeds = {"readings": readings, "seen": seen, "state": state}
        found: list[Floats] = self._encoder.run_with(feeds, "contexts", "weights", "after")
        return found

    def close(self) -> None:
        self._encoder.close()
