"""The process that reads files of readings (tables.py): one of each worker-app, which its threads take in turn."""

import json
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray


class Unreadable(Exception):
    """The file cannot be read, or not like this; says why in a sentence (apps/serving/sentences.py)."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a file: [N] readings, each of one of the `sensors`, which are keys."""

    rows: int
    sensors: list[str]
    series: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    failed: int
    problems: list[list[Any]]


class TableReader:
    """Started when it is needed, and again when it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def look(self, path: Path) -> dict[str, Any]:
        """`{look, mapping}`. Raises Unreadable, also for a file that the process died of."""
        with self._lock:
            return self._ask({"look": str(path)})

    def read(self, path: Path, mapping: dict[str, Any], *, position: int, rows: int) -> Rows:
        """The next rows behind `position`; none at the end. Raises Unreadable."""
        with self._lock, tempfile.TemporaryDirectory() as folder:
            to = Path(folder) / "readings.npz"
            answer = self._ask(
                {"read": str(path), "mapping": mapping, "position": position, "rows": rows, "to": str(to)}
            )
            with np.load(to, allow_pickle=False) as found:
                return Rows(**answer, series=found["series"], times=found["times"], values=found["values"])

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        process = self._running()
        assert process.stdin and process.stdout
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise Unreadable(self._why_it_died())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Unreadable(answer["error"])
        return answer

    def _running(self) -> "subprocess.Popen[str]":
        if self._process is None or self._process.poll() is not None:
            limits = (settings.ANOMALY_READER_MB * 2**20, settings.ANOMALY_READER_SECONDS)
            # It ends with us: its standard input is closed then, and its clock runs while it reads.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "apps.anomaly.tables", *map(str, limits)],
                cwd=settings.BASE_DIR,
                env={"PATH": "", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._process

    def _why_it_died(self) -> str:
        assert self._process
        status = self._process.wait()
        if status == -14:  # SIGALRM, its own clock
            return f"The file was not read within {settings.ANOMALY_READER_SECONDS} seconds."
        return "The program that reads files was ended by this file."


@cache
def reader() -> TableReader:
    return TableReader()
