"""What a run of an encoder costs, by batch size and length in tokens, measured on this machine.

On a CPU a batch can be slower than its items one by one: padding is computed too, and large matrices leave
the cache. So nothing is assumed. A batch size that was not measured at some length costs infinity there and
is never chosen; a single item always has a price, extrapolated where time ran out.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORMAT = 2
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
_LENGTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096, 8192)
_MAX_AGE = 30 * 86400.0  # seconds; kernels, governors and neighbours change

Run = Callable[[int, int], None]  # runs a batch of that size, every item of that length
Seconds = dict[int, dict[int, float]]  # batch size -> length -> seconds


class CostTable:
    """Prices in seconds. `seconds[1]` must not be empty."""

    def __init__(self, seconds: Seconds, max_length: int) -> None:
        self.seconds = seconds
        self.max_length = max_length
        self._rows = {size: _row(points, max_length, open_end=size == 1) for size, points in seconds.items() if points}
        self.batch_sizes = tuple(sorted(self._rows))

    def cost(self, batch_size: int, length: int) -> float:
        """Of a measured batch size padded to `length`; infinite where that was not measured."""
        return self._rows[batch_size][min(length, self.max_length)]

    def alone(self, length: int) -> float:
        return self._rows[1][min(length, self.max_length)]


def _row(points: dict[int, float], max_length: int, *, open_end: bool) -> list[float]:
    """Prices for lengths 0..max_length: straight lines between the points, never falling with the length.

    Below the first point its price. Behind the last one infinity, or with `open_end` the last price per token.
    """
    lengths = sorted(points)
    highest = list(itertools.accumulate((points[length] for length in lengths), max))
    row = [highest[0]] * (min(lengths[0], max_length) + 1)
    for (left, low), (right, high) in itertools.pairwise(zip(lengths, highest, strict=True)):
        row += [low + (high - low) * step / (right - left) for step in range(1, right - left + 1)]
    per_token = highest[-1] / max(lengths[-1], 1)
    row += [per_token * length if open_end else math.inf for length in range(len(row), max_length + 1)]
    return row[: max_length + 1]


def measure(
    run: Run,
    *,
    max_length: int,
    max_batch_size: int,
    budget: float = 8.0,
    clock: Callable[[], float] = time.perf_counter,
) -> CostTable:
    """Times every batch size over the lengths, short ones first, for about `budget` seconds.

    Each point is the fastest of up to five runs: what disturbs a run only ever makes it slower. A larger batch
    is not tried at a length where the smaller one already costs more an item than one alone by a tenth.
    """
    seconds: Seconds = {size: {} for size in BATCH_SIZES if size <= max_batch_size}
    ends = clock() + budget
    for length in lengths_up_to(max_length):
        for size in seconds:
            if seconds[1] and clock() > ends:
                break
            seconds[size][length] = _fastest(run, size, length, clock)
            if seconds[size][length] > 1.1 * size * seconds[1][length]:
                break
    return CostTable(seconds, max_length)


def lengths_up_to(max_length: int) -> list[int]:
    return [length for length in _LENGTHS if length < max_length] + [max_length]


def _fastest(run: Run, size: int, length: int, clock: Callable[[], float]) -> float:
    run(size, length)  # the first run of a shape allocates
    fastest, spent = math.inf, 0.0
    for _ in range(5):
        started = clock()
        run(size, length)
        took = clock() - started
        fastest, spent = min(fastest, took), spent + took
        if spent > 0.1:
            break
    return fastest


@dataclass(frozen=True, slots=True)
class Layout:
    """How an encoder uses the cores: `lanes` sessions side by side, each with `threads` threads."""

    lanes: int
    threads: int
    pinned: bool = False  # each lane to cores of its own
    express: bool = False  # one more session, with all threads of the lanes, for an item that is alone


@dataclass(frozen=True, slots=True)
class Identity:
    """What a stored table was measured for; a table of anything else is refused."""

    model: str  # sha256 of the graph
    machine: str  # processor, cores, onnxruntime
    max_length: int
    max_batch_size: int


def store(path: Path, identity: Identity, layout: Layout, table: CostTable, *, now: float | None = None) -> None:
    """Raises OSError where the folder cannot be written; the caller goes on without."""
    content = {
        "format": FORMAT,
        "identity": asdict(identity),
        "measured_at": time.time() if now is None else now,
        "layout": asdict(layout),
        "seconds": table.seconds,
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(path)


def load(path: Path, identity: Identity, *, now: float | None = None) -> tuple[Layout, CostTable] | None:
    """The stored layout and table; None when there are none for exactly this, or they are too old or broken."""
    try:
        content = json.loads(path.read_text())
        age = (time.time() if now is None else now) - content["measured_at"]
        if content["format"] != FORMAT or content["identity"] != asdict(identity) or not 0 <= age <= _MAX_AGE:
            return None
        seconds = {int(size): _points(points.items()) for size, points in content["seconds"].items()}
        return Layout(**content["layout"]), CostTable(seconds, identity.max_length)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _points(pairs: Iterable[tuple[Any, Any]]) -> dict[int, float]:
    points = {int(length): float(seconds) for length, seconds in pairs}
    if any(not 0 < seconds < math.inf for seconds in points.values()):
        raise ValueError("a price must be positive")
    return points
