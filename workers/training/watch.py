"""What one process of a training does: its share of the speed, its memory, and where its tokens go.

A row is {rank, dp, pp, ep, step, loss, tokens, busy, memory, load}: its place on the mesh, tokens a second, processor
seconds a second, resident bytes, and of each layer that it has the share of picks that each expert got in this step.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import psutil
from torch import Tensor

_EVERY = 1.0  # seconds in one row


class Watch:
    def __init__(self, rank: int, place: Mapping[str, int], tokens: int) -> None:
        """`tokens` are those that the process computes in a step."""
        self._about = {"rank": rank, **place}
        self._tokens = tokens
        self._process = psutil.Process()
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
            "busy": round((now[1] - before[1]) / seconds, 2), "memory": self._process.memory_info().rss,
            "load": {name: _shares(load) for name, load in loads.items()},
        }  # fmt: skip


def _shares(load: Tensor) -> list[float]:
    return [round(float(share), 4) for share in load / load.sum().clamp(min=1)]
