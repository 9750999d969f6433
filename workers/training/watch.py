"""What one process of a training does: its share of the speed, its memory, and where its tokens go.

A row is {rank, dp, pp, ep, step, loss, tokens, busy, pace, memory, load}: its place on the mesh, tokens a second,
processor seconds a second, billions of multiplications a second, resident bytes, and of each layer that it has the
share of picks that each expert got in this step.

All processes of a mesh have the same tokens a second, as each waits for the slowest. Which one that is tells the pace,
measured on a product of matrices of its own between two steps, without any transfer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Any

import psutil
import torch
from torch import Tensor

_EVERY = 1.0  # seconds in one row
_SIDE, _TIMES = 192, 20  # of the matrices that are multiplied, and how often: some milliseconds a second
_LOOKS = 5  # whose middle is the pace


class Watch:
    def __init__(self, rank: int, place: Mapping[str, int], tokens: int, device: torch.device | str = "cpu") -> None:
        """`tokens` are those that the process computes in a step."""
        self._about = {"rank": rank, **place}
        self._tokens = tokens
        self._process = psutil.Process()
        self._matrix = torch.full((_SIDE, _SIDE), 1 / _SIDE, device=device)
        self._paces: deque[float] = deque(maxlen=_LOOKS)
        self._before: tuple[float, float, int] | None = None  # time, processor time, step

    def look(self, step: int, loss: float, loads: Mapping[str, Tensor]) -> dict[str, Any] | None:
        """After a step; None while the last row is younger than a second. `loads` [E] by the name of the layer."""
        now = time.monotonic(), sum(self._process.cpu_times()[:2]), step
        before, self._before = self._before, self._before or now
        if before is None or now[0] - before[0] < _EVERY or step <= before[2]:
            return None
        self._before = now
        seconds = now[0] - before[0]
        return {
            **self._about, "step": step, "loss": round(loss, 5),
            "tokens": round(self._tokens * (step - before[2]) / seconds, 1),
            "busy": round((now[1] - before[1]) / seconds, 2), "pace": round(self._pace(), 2),
            "memory": self._process.memory_info().rss,
            "load": {name: _shares(load) for name, load in loads.items()},
        }  # fmt: skip

    def _pace(self) -> float:
        """Billions of multiplications a second; the middle of the last looks, as one may have met something else."""
        began = time.perf_counter()
        found = self._matrix
        for _ in range(_TIMES):
            found = found @ self._matrix
        float(found[0, 0])  # waits for the device
        self._paces.append(_TIMES * _SIDE**3 / 1e9 / (time.perf_counter() - began))
        return median(self._paces)


def _shares(load: Tensor) -> list[float]:
    return [round(float(share), 4) for share in load / load.sum().clamp(min=1)]
