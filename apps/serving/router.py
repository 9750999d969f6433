"""Which revision, and which of its workers, gets a request. Pure functions of a snapshot.

A key (conversation or user) is hashed to a point of [0, 1) and stays there; a request without one takes the
next point of a golden-ratio sequence, whose shares are right after a few requests and not only on average.
The newest revision owns the interval from 0 up to its weight: when a canary grows, whoever was on it stays.
"""

import hashlib
import itertools
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator

from contracts.messages import Route, RouteRevision, WorkerLease

_GOLDEN = 0.6180339887498949


class Spread:
    """Points of [0, 1), as even as possible over any stretch of calls. Thread-safe."""

    def __init__(self, start: float | None = None) -> None:
        self._start = random.random() if start is None else start
        self._counters: dict[str, Iterator[int]] = defaultdict(itertools.count)

    def point(self, name: str) -> float:
        return (self._start + next(self._counters[name]) * _GOLDEN) % 1.0


def point_of(key: str) -> float:
    """Where on [0, 1) a conversation or user is, always."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") / 2**64


def choose_revision(route: Route, leases: Iterable[WorkerLease], point: float) -> RouteRevision | None:
    """The READY revision at `point`; the share of one that is not ready is served by the others."""
    leases = list(leases)
    ready = [one for one in route.revisions if one.weight and any(lease.is_ready(one.key) for lease in leases)]
    place = point * sum(one.weight for one in ready)
    for one in sorted(ready, key=lambda one: -one.number):
        if place < one.weight:
            return one
        place -= one.weight
    return None


def choose_worker(revision: str, leases: Iterable[WorkerLease], conversation: str) -> str:
    """The worker that keeps the prefix of a conversation (rendezvous hashing); empty when any will do.

    Any will do when there is no choice, or when that worker has no free slot: waiting costs more than
    computing the prefix again.
    """
    able = [lease for lease in leases if lease.is_ready(revision)]
    if not conversation or len(able) < 2:
        return ""
    best = max(able, key=lambda lease: point_of(f"{lease.worker_id} {conversation}"))
    report = best.revisions[revision]
    return "" if report.waiting or report.running >= max(report.slots, 1) else best.worker_id


def slots_of(revision: str, leases: Iterable[WorkerLease]) -> int:
    """How many requests of the revision can be served at once."""
    return sum(lease.revisions[revision].slots for lease in leases if lease.is_ready(revision))
