"""Who is served next: admission, fairness between tenants, prefill beside decode.

A request is waiting until it holds a slot, then prefilling, then running. Between tenants the one
that was served fewest tokens goes first; among the prefilling the one that is done soonest, less
the time it has waited, so that a short question does not stand behind a long document and the
document is not put off for ever.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import chain

from .kv_cache import KvCache
from .sequence import Sequence


@dataclass(frozen=True, slots=True)
class Chunk:
    """Prompt tokens start..end of a sequence, to be prefilled in this step."""

    sequence: Sequence
    start: int
    end: int

    @property
    def is_last(self) -> bool:
        return self.end == len(self.sequence.token_ids)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step computes."""

    admitted: list[Sequence]
    chunks: list[Chunk]
    running: list[Sequence]  # in the order of their rows

    @property
    def is_empty(self) -> bool:
        return not self.chunks and not self.running


class PrefillBudget:
    """How many prompt tokens a step may prefill so that decoding rows wait a bounded time.

    Prompts get `seconds` a step, or `share` times what decoding takes when that is more: on a slow or
    busy machine a fixed time would be so small a part of a step that the first token never came.
    Both times are measured as we go, so the same setting suits a laptop and a GPU.
    """

    def __init__(self, *, seconds: float, share: float = 2.0, smallest: int = 32, largest: int = 512) -> None:
        self.smallest = smallest
        self._largest = largest
        self._seconds = seconds
        self._share = share
        self._token_seconds = seconds / 64
        self._decode_seconds = 0.0

    def observe_prefill(self, tokens: int, seconds: float) -> None:
        if tokens >= self.smallest:
            self._token_seconds += 0.2 * (seconds / tokens - self._token_seconds)

    def observe_decode(self, seconds: float) -> None:
        self._decode_seconds += 0.2 * (seconds - self._decode_seconds)

    def tokens(self, *, decoding: bool) -> int:
        """In multiples of the smallest chunk; twice as many when nobody waits for a next token."""
        seconds = max(self._seconds, self._share * self._decode_seconds) if decoding else 2 * self._seconds
        wanted = int(seconds / max(self._token_seconds, 1e-9)) // self.smallest * self.smallest
        return max(self.smallest, min(self._largest, wanted))

    def seconds(self, tokens: int) -> float:
        return tokens * self._token_seconds


class TenantQueues:
    """Waiting requests by tenant. The next one is the oldest of the least served tenant."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Sequence]] = {}
        self._served: dict[str, float] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, sequence: Sequence, active: set[str]) -> None:
        """A tenant that was away does not come back with credit for the time it was."""
        tenant = sequence.request.tenant
        if not self._queues.get(tenant) and tenant not in active:
            present = active | {name for name, queue in self._queues.items() if queue}
            floor = min((self._served.get(name, 0.0) for name in present), default=0.0)
            self._served = {name: count for name, count in self._served.items() if name in present or count > floor}
            self._served[tenant] = max(self._served.get(tenant, 0.0), floor)
        self._queues.setdefault(tenant, deque()).append(sequence)
        self._size += 1

    def serve(self, tenant: str, tokens: int) -> None:
        self._served[tenant] = self._served.get(tenant, 0.0) + tokens

    def peek(self) -> Sequence | None:
        tenant = min((name for name, queue in self._queues.items() if queue), key=self._rank, default=None)
        return None if tenant is None else self._queues[tenant][0]

    def remove(self, sequence: Sequence) -> None:
        queue = self._queues[sequence.request.tenant]
        queue.remove(sequence)
        self._size -= 1
        if not queue:
            del self._queues[sequence.request.tenant]

    def __iter__(self) -> chain[Sequence]:
        return chain.from_iterable(self._queues.values())

    def in_order(self) -> list[Sequence]:
        """As they would be served if each tenant's counter grew with what its requests ask for."""
        served = dict(self._served)
        rest = {name: deque(queue) for name, queue in self._queues.items() if queue}
        order = []
        while rest:
            tenant = min(rest, key=lambda name: (served.get(name, 0.0), rest[name][0].arrival_time))
            sequence = rest[tenant].popleft()
            served[tenant] = served.get(tenant, 0.0) + len(sequence.token_ids)
            order.append(sequence)
            if not rest[tenant]:
                del rest[tenant]
        return order

    def _rank(self, tenant: str) -> tuple[float, float]:
        return self._served.get(tenant, 0.0), self._queues[tenant][0].arrival_time


class Scheduler:
    """Decides what a step computes. Belongs to the runner thread."""

    def __init__(self, cache: KvCache, *, max_batch_size: int, budget: PrefillBudget) -> None:
        self.waiting = TenantQueues()
        self.prefilling: list[Sequence] = []
        self.running: list[Sequence] = []
        self._cache = cache
        self._max_batch_size = max_batch_size
        self._budget = budget

    def add(self, sequence: Sequence) -> None:
        self.waiting.add(sequence, {other.request.tenant for other in self.prefilling + self.running})

    def schedule(self, now: float) -> Batch:
        admitted = self._admit(now)
        running = sorted(self.running, key=lambda sequence: sequence.slot.row if sequence.slot else 0)
        return Batch(admitted, self._chunks(now), running)

    def start_decode(self, sequence: Sequence) -> None:
        """The prompt is in the cache and the first token is sampled."""
        assert sequence.slot
        self._cache.start_decode(sequence.slot)
        self.prefilling.remove(sequence)
        self.running.append(sequence)

    def remove(self, sequence: Sequence, *, keep: bool = True) -> None:
        """Takes a sequence out, wherever it is; its slot is free for the next step."""
        if sequence.slot is None:
            self.waiting.remove(sequence)
            return
        (self.running if sequence in self.running else self.prefilling).remove(sequence)
        self._cache.release(sequence.slot, keep=keep)
        sequence.slot = None

    def _admit(self, now: float) -> list[Sequence]:
        admitted = []
        while len(self.prefilling) + len(self.running) < self._max_batch_size:
            sequence = self.waiting.peek()
            slot = self._cache.acquire(sequence.token_ids) if sequence else None
            if sequence is None or slot is None:
                break
            self.waiting.remove(sequence)
            sequence.slot = slot
            sequence.cached_tokens = min(len(slot.token_ids), sequence.prompt_tokens)
            sequence.queue_time = max(0.0, now - sequence.arrival_time)
            self.prefilling.append(sequence)
            self.waiting.serve(sequence.request.tenant, sequence.pending)
            admitted.append(sequence)
        return admitted

    def _chunks(self, now: float) -> list[Chunk]:
        left = self._budget.tokens(decoding=bool(self.running))
        chunks = []
        for sequence in sorted(self.prefilling, key=lambda one: self._urgency(one, now)):
            if left < min(sequence.pending, self._budget.smallest):
                break  # a run has a fixed cost: no crumbs
            start = sequence.computed
            end = min(start + left, len(sequence.token_ids))
            left -= end - start
            chunks.append(Chunk(sequence, start, end))
        return chunks

    def _urgency(self, sequence: Sequence, now: float) -> float:
        return self._budget.seconds(sequence.pending) - (now - sequence.arrival_time)
