"""The process that reads files of readings (tables.py): one of each worker-app, which its threads take in turn."""

import tempfile
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from apps.serving.limited_process import LimitedProcess


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


class TableReader(LimitedProcess):
    module = "apps.anomaly.tables"
    ended = "The program that reads files was ended by this file."

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def look(self, path: Path) -> dict[str, Any]:
        """`{look, mapping}`. Raises Unreadable."""
        with self._lock:
            return self.ask(look=str(path))

    def read(self, path: Path, mapping: dict[str, Any], *, position: int, rows: int) -> Rows:
        """The next rows behind `position`; none at the end. Raises Unreadable."""
        with self._lock, tempfile.TemporaryDirectory() as folder:
            to = Path(folder) / "readings.npz"
            answer = self.ask(read=str(path), mapping=mapping, position=position, rows=rows, to=str(to))
            with np.load(to, allow_pickle=False) as found:
                return Rows(**answer, series=found["series"], times=found["times"], values=found["values"])

    def limits(self) -> tuple[int, ...]:
        return settings.ANOMALY_READER_MB * 2**20, settings.ANOMALY_READER_SECONDS

    def too_slow(self) -> str:
        return f"The file was not read within {settings.ANOMALY_READER_SECONDS} seconds."


@cache
def reader() -> TableReader:
    return TableReader()
