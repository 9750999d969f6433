"""The sessions of an encoder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

Turn = Callable[[], AbstractContextManager[Any]]


class Lane(Protocol):
    """A session with the way in and out of it; one thread owns it."""

    def run(self, payloads: Sequence[Any]) -> list[Any]:
        """A result for each payload, in order."""

    def pin(self) -> None:
        """Called once by the thread that will run it."""

    def close(self) -> None: ...


@dataclass(slots=True)
class Lanes:
    """`side_by_side` share the cores out among them; `express` has all cores and is for an item that is alone. A turn
    is held while its lane computes, for engines that share cores."""

    side_by_side: Sequence[Lane]
    express: Lane | None = None
    turn: Turn = nullcontext
    express_turn: Turn = nullcontext
    _began: dict[int, float] = field(default_factory=dict)  # lane -> monotonic time

    def __len__(self) -> int:
        """How many run at the same time."""
        return len(self.side_by_side)

    @contextmanager
    def taken(self, lane: Lane, *, alone: bool) -> Iterator[Lane]:
        """The lane to compute in, with its cores: the thread's own, or express when there is only one item."""
        if self.express is not None and alone:
            with self.express_turn():
                yield self.express
        else:
            with self.turn():
                yield lane

    @contextmanager
    def at_work(self, lane: Lane) -> Iterator[None]:
        self._began[id(lane)] = time.monotonic()
        try:
            yield
        finally:
            self._began.pop(id(lane), None)

    def busy_since(self) -> float:
        """When the oldest batch that now runs began, in seconds of the monotonic clock; 0 between batches."""
        return min(list(self._began.values()), default=0.0)

    def close(self) -> None:
        for lane in self.side_by_side:
            lane.close()
        if self.express is not None:
            self.express.close()
