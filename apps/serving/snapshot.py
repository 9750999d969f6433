"""Routes, leases and means as this process last read them: routing a request asks neither database nor Redis.

A snapshot is at most MAX_AGE seconds old. What was decided meanwhile shows itself later by that much, so a
worker goes on listening for a while after it was told to let go of a revision.
"""

import threading
import time
from dataclasses import dataclass, field

from apps.serving.connection import client
from contracts import names
from contracts.messages import Route, WorkerLease

MAX_AGE = 0.25  # seconds


@dataclass(frozen=True, slots=True)
class Snapshot:
    routes: dict[str, Route] = field(default_factory=dict)
    leases: list[WorkerLease] = field(default_factory=list)  # of workers that are alive
    compute_ms: dict[str, float] = field(default_factory=dict)  # of a request, by revision; where it was measured
    is_known: bool = False  # False: Redis is empty and nobody has written the routes again
    taken_at: float = 0.0  # seconds of the monotonic clock


_lock = threading.Lock()
_latest = Snapshot()


def is_fresh() -> bool:
    """Whether `current` answers at once."""
    return time.monotonic() - _latest.taken_at < MAX_AGE


def current() -> Snapshot:
    """Raises redis.RedisError when a new one is due and cannot be had."""
    global _latest
    if is_fresh():
        return _latest
    with _lock:
        if not is_fresh():
            _latest = take()
        return _latest


def latest() -> Snapshot:
    """As it was last read, however old: asks nobody."""
    return _latest


def take() -> Snapshot:
    """Read it now; one round trip."""
    with client().pipeline(transaction=False) as pipe:
        pipe.hvals(names.ROUTES_KEY)
        pipe.hvals(names.WORKERS_KEY)
        pipe.hgetall(names.COMPUTE_KEY)
        pipe.exists(names.RECONCILED_KEY)
        routes, leases, means, known = pipe.execute()
    now = time.time()
    alive = [lease for lease in map(WorkerLease.from_json, leases) if lease.expires > now]
    by_name = {route.name: route for route in map(Route.from_json, routes)}
    compute_ms = {revision: float(mean) for revision, mean in means.items()}
    return Snapshot(by_name, alive, compute_ms, bool(known), time.monotonic())
