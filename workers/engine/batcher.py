"""Which of the waiting items an encoder runs next.

The head of the queue is always in the batch: the oldest item of the tenant that was served least, so nobody
waits for ever. Others join only when the cost table says that all of them together are done sooner than one
after the other, padding included, nobody who could be in time alone is late because of it, and the tenant whose turn
it is gets at least its share: of n tenants that wait, an n-th of the time that the batch takes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil, inf
from typing import Any

from .cost_table import CostTable


@dataclass(eq=False, slots=True)
class Item:
    """One text or image of a request. `limit` is when it should be done, in seconds since the epoch."""

    length: int
    payload: Any
    tenant: str = ""
    arrival_time: float = 0.0
    limit: float = inf
    order: int = 0  # of arrival, over all items
    taken: bool = False
    group: Any = None  # the request it belongs to
    index: int = 0  # its place there


def _by_length(item: Item) -> tuple[int, int]:
    return item.length, item.order


@dataclass(slots=True)
class Waiting:
    """Items that wait, by length and by tenant."""

    by_length: list[Item] = field(default_factory=list)
    served: dict[str, float] = field(default_factory=dict)  # tenant -> seconds of compute
    _queues: dict[str, deque[Item]] = field(default_factory=dict)
    _order: int = 0

    def __len__(self) -> int:
        return len(self.by_length)

    def add(self, item: Item) -> None:
        """A tenant that was away does not come back with credit for the time it was."""
        if not self._queues.get(item.tenant):
            present = [self.served.get(name, 0.0) for name, queue in self._queues.items() if queue]
            floor = min(present, default=max(self.served.values(), default=0.0))
            self.served[item.tenant] = max(self.served.get(item.tenant, 0.0), floor)
        self._order += 1
        item.order = self._order
        self._queues.setdefault(item.tenant, deque()).append(item)
        insort(self.by_length, item, key=_by_length)

    @property
    def tenants(self) -> int:
        """How many wait."""
        return len(self._queues)

    def head(self) -> Item:
        """The oldest item of the least served tenant. Raises ValueError when nobody waits."""
        queues = [queue for queue in self._queues.values() if queue]
        return min((queue[0] for queue in queues), key=lambda item: (self.served[item.tenant], item.order))

    def position(self, item: Item) -> int:
        return bisect_left(self.by_length, _by_length(item), key=_by_length)

    def take(self, item: Item) -> None:
        """Out of the queue, to be run or dropped."""
        item.taken = True
        del self.by_length[self.position(item)]
        queue = self._queues[item.tenant]
        while queue and queue[0].taken:  # those taken from the middle wait here for their turn to go
            queue.popleft()
        if not queue:
            del self._queues[item.tenant]
            self._forget_all_but_the_present()

    def serve(self, tenant: str, seconds: float) -> None:
        """Counts compute for a tenant; a counter that was forgotten meanwhile starts again when it comes back."""
        if tenant in self.served:
            self.served[tenant] += seconds

    def in_order(self, price: Callable[[int], float]) -> list[Item]:
        """As they would be served if nothing came and nothing were batched."""
        served = dict(self.served)
        rest = {name: deque(item for item in queue if not item.taken) for name, queue in self._queues.items()}
        order: list[Item] = []
        while rest:
            tenant = min(rest, key=lambda name: (served[name], rest[name][0].order))
            item = rest[tenant].popleft()
            served[tenant] += price(item.length)
            order.append(item)
            if not rest[tenant]:
                del rest[tenant]
        return order

    def _forget_all_but_the_present(self) -> None:
        """Counters of the absent matter as long as they are ahead of somebody; bounded all the same."""
        if len(self.served) > 1000:
            self.served = {name: count for name, count in self.served.items() if name in self._queues}


class Batcher:
    """Chooses batches for `lanes` sessions that run side by side.

    `latency_target` is what an answer may take while the machine keeps up; `margin` is what a batch must save
    at least, since measured prices are never exact.
    """

    def __init__(self, table: CostTable, *, lanes: int = 1, latency_target: float = 0.5, margin: float = 0.03) -> None:
        self._table = table
        self._lanes = lanes
        self._latency_target = latency_target
        self._margin = margin

    def choose(self, waiting: Waiting, now: float) -> list[Item]:
        """The next batch, still in `waiting`; at least one item. Raises ValueError when nobody waits.

        Its price is never above the sum of its items' prices alone. A lane takes its share of what waits at
        most: a batch that leaves another lane idle is no gain.
        """
        head = waiting.head()
        items, at = waiting.by_length, waiting.position(head)
        share = ceil(len(items) / self._lanes)
        best, most = [head], 1.0 + self._margin
        for size in self._table.batch_sizes:
            if size > share:
                break
            low, high = max(0, at - size + 1), min(at, len(items) - size)
            sums = [0.0, *accumulate(self._table.alone(item.length) for item in items[low : high + size])]
            for first in range(low, high + 1):
                cost = self._table.cost(size, items[first + size - 1].length)
                gain = (sums[first - low + size] - sums[first - low]) / cost
                if gain <= most:
                    continue
                batch = items[first : first + size]
                if self._is_in_time(batch, cost, now) and self._is_fair(batch, cost, head.tenant, waiting.tenants):
                    best, most = batch, gain
        return best

    def _is_fair(self, items: list[Item], cost: float, tenant: str, tenants: int) -> bool:
        """Whether the others who ride along leave the tenant its share of the time."""
        own = sum(self._table.alone(item.length) for item in items if item.tenant == tenant)
        return own * tenants >= cost

    def _is_in_time(self, items: list[Item], cost: float, now: float) -> bool:
        """Whether everybody who would be in time alone is so in this batch."""
        for item in items:
            limit = min(item.limit, item.arrival_time + self._latency_target)
            if now + cost > limit >= now + self._table.alone(item.length):
                return False
        return True
