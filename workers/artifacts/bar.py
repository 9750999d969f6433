"""How much of a transfer is done."""

from collections.abc import Callable
from dataclasses import dataclass, field

Progress = Callable[[float], None]  # 0 to 1


@dataclass(slots=True)
class Bar:
    """Called with the bytes since the last call, by any thread; tells whole per cents. Late sums do no harm."""

    total: int
    done: int
    progress: Progress
    _told: int = field(default=-1)

    def __call__(self, count: int) -> None:
        self.done += count
        percent = min(100, 100 * self.done // max(self.total, 1))
        if percent != self._told:
            self._told = percent
            self.progress(percent / 100)
