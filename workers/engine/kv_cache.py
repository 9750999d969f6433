"""Which request holds which row of the cache, and which finished prefixes are still there.

Rows 0..running-1 decode. A row above them is being prefilled, or kept after its request finished
so that the next turn of the conversation finds its prefix, or free. Rows are swapped to keep the
decoding ones dense; a Slot is a row's contents and moves with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from workers.backends.base import Backend

MIN_REUSE = 8  # tokens; below this a copy costs more than it saves


@dataclass(eq=False, slots=True)
class Slot:
    row: int
    token_ids: list[int] = field(default_factory=list)  # whose keys and values are valid
    held: bool = False
    last_used: int = 0


@dataclass(frozen=True, slots=True)
class Prefix:
    """A slot that begins like a prompt does, and for how many tokens."""

    slot: Slot | None
    length: int


class KvCache:
    """The rows of a backend. Everything here happens on the thread that owns it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._rows = [Slot(row) for row in range(backend.slots)]
        self._clock = 0
        self.running = 0

    @property
    def held(self) -> int:
        return sum(slot.held for slot in self._rows)

    def find_prefix(self, token_ids: list[int]) -> Prefix:
        """The longest common prefix with any row. The last token is never reused: it has to be
        computed for its logits."""
        wanted = np.asarray(token_ids[:-1], np.int64)
        best = Prefix(None, 0)
        for slot in self._rows:
            if len(slot.token_ids) > best.length:
                length = _common_prefix(wanted, slot.token_ids)
                if length > best.length or (length == best.length and not slot.held and length):
                    best = Prefix(slot, length)
        return best if best.length >= MIN_REUSE else Prefix(None, 0)

    def acquire(self, token_ids: list[int]) -> Slot | None:
        """A slot whose `token_ids` are the reused prefix, or None when every row is held."""
        prefix = self.find_prefix(token_ids)
        slot = self._choose(prefix)
        if slot is None:
            return None
        if prefix.slot and prefix.slot is not slot:
            self._backend.copy(prefix.slot.row, slot.row, prefix.length)
            self._touch(prefix.slot)
        slot.token_ids = token_ids[: prefix.length]
        slot.held = True
        self._touch(slot)
        return slot

    def start_decode(self, slot: Slot) -> None:
        """Moves a prefilled slot to the end of the decoding rows."""
        assert slot.held and slot.row >= self.running
        self._swap(slot.row, self.running)
        self.running += 1

    def release(self, slot: Slot, *, keep: bool = True) -> None:
        """Lets a slot go; its contents stay findable until the row is needed, unless `keep` is False."""
        if slot.row < self.running:
            self.running -= 1
            self._swap(slot.row, self.running)
        slot.held = False
        if not keep:
            slot.token_ids = []
        self._touch(slot)

    def clear(self) -> None:
        """Forgets all kept prefixes, after a failure that may have left anything in them."""
        for slot in self._rows:
            if not slot.held:
                slot.token_ids = []

    def _choose(self, prefix: Prefix) -> Slot | None:
        """The prefix's own row when little else would be lost with it, else a free or the oldest one."""
        own = prefix.slot
        if own and not own.held and prefix.length * 2 >= len(own.token_ids):
            return own
        spare = [slot for slot in self._rows if not slot.held]
        others = [slot for slot in spare if slot is not own] or spare
        return min(others, key=self._worth, default=None)

    def _worth(self, slot: Slot) -> tuple[bool, int, int]:
        """Empty first, then least recently used; the row decoding reaches next breaks ties."""
        return bool(slot.token_ids), slot.last_used, slot.row

    def _swap(self, first: int, second: int) -> None:
        if first == second:
            return
        one, other = self._rows[first], self._rows[second]
        self._backend.swap(first, second, len(one.token_ids), len(other.token_ids))
        self._rows[first], self._rows[second] = other, one
        one.row, other.row = second, first

    def _touch(self, slot: Slot) -> None:
        self._clock += 1
        slot.last_used = self._clock


def _common_prefix(wanted: NDArray[np.int64], token_ids: list[int]) -> int:
    length = min(len(wanted), len(token_ids))
    if not length or wanted[0] != token_ids[0]:
        return 0
    differs = wanted[:length] != np.asarray(token_ids[:length], np.int64)
    return int(differs.argmax()) if differs.any() else length
