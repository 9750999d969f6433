"""The cores of a worker, shared by the engines of its deployments.

A run takes as many cores as it has threads and waits until they are free. When several wait, the deployment
that has used the least core time goes first, and nobody passes it: a run that needs every core is not put
off by small ones. So two busy deployments get half the machine each, and a lonely one gets all of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class _Turn:
    name: str
    threads: int


@dataclass(slots=True)
class Cores:
    """`turn` may be called from any thread."""

    count: int
    clock: Callable[[], float] = time.perf_counter
    _free: int = field(init=False)
    _used: dict[str, float] = field(default_factory=dict)  # deployment -> core seconds
    _present: dict[str, int] = field(default_factory=dict)  # deployment -> turns that run or wait
    _queue: list[_Turn] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._free = self.count

    @contextmanager
    def turn(self, name: str, threads: int) -> Iterator[None]:
        """Holds `threads` cores (at most all) for the deployment."""
        turn = _Turn(name, min(threads, self.count))
        self._wait(turn)
        started = self.clock()
        try:
            yield
        finally:
            self._give_back(turn, self.clock() - started)

    def _wait(self, turn: _Turn) -> None:
        with self._changed:
            self._welcome(turn.name)
            self._queue.append(turn)
            while self._next() is not turn or self._free < turn.threads:
                self._changed.wait()
            self._queue.remove(turn)
            self._free -= turn.threads
            self._changed.notify_all()

    def _give_back(self, turn: _Turn, seconds: float) -> None:
        with self._changed:
            self._free += turn.threads
            self._used[turn.name] += seconds * turn.threads
            self._present[turn.name] -= 1
            self._changed.notify_all()

    def _welcome(self, name: str) -> None:
        """Who was away does not come back with credit for the time it was."""
        if not self._present.get(name):
            floor = min((self._used[other] for other, turns in self._present.items() if turns), default=0.0)
            self._used[name] = max(self._used.get(name, 0.0), floor)
        self._present[name] = self._present.get(name, 0) + 1

    def _next(self) -> _Turn:
        return min(self._queue, key=lambda turn: self._used[turn.name])
