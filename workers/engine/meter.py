"""What an encoder has done, and how its prices have proved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .batcher import Item
from .cost_table import CostTable


@dataclass(frozen=True, slots=True)
class EncoderStats:
    running: int  # items being computed
    waiting: int  # requests
    slots: int  # lanes
    steps: int  # batches
    items: int
    tokens: int
    busy_seconds: float
    failures: int


@dataclass(slots=True)
class Meter:
    """Not thread-safe: used under the engine's lock."""

    table: CostTable
    pace: float = 1.0  # how much slower than its price a batch has been lately
    steps: int = 0
    items: int = 0
    tokens: int = 0
    busy_seconds: float = 0.0
    failures: int = 0

    def charge(self, batch: list[Item], seconds: float) -> Iterator[tuple[Item, float]]:
        """Counts the batch; the time of each item, shared out by what each would have cost alone."""
        prices = [self.table.alone(item.length) for item in batch]
        price = min(self.table.cost(len(batch), max(item.length for item in batch)), sum(prices))
        self.busy_seconds += seconds
        self.steps += 1
        self.items += len(batch)
        self.tokens += sum(item.length for item in batch)
        self.pace += 0.1 * (min(seconds / price, 20.0) - self.pace)
        return ((item, seconds * alone / sum(prices)) for item, alone in zip(batch, prices, strict=True))

    def stats(self, *, running: int, waiting: int, slots: int) -> EncoderStats:
        return EncoderStats(
            running=running,
            waiting=waiting,
            slots=slots,
            steps=self.steps,
            items=self.items,
            tokens=self.tokens,
            busy_seconds=self.busy_seconds,
            failures=self.failures,
        )
