"""Counters of each revision in ten-second buckets, written when requests are settled, read by guard and console.

Times go into a histogram whose bounds grow by a quarter of a power of two from 1 ms: a percentile read from it
is at most 19 % above the true one.
"""

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from apps.serving.connection import client
from contracts import names

BUCKET = 10  # seconds
KEEP = 3900  # seconds; the console draws the last hour

_SMALLEST = 0.001  # seconds
STEPS = 4  # to the power of two
_LATELY = 100  # requests, after which a mean has forgotten two thirds of what was before

# KEYS means; ARGV revision, milliseconds of compute, requests that took them.
_LEARN = """
local latest, requests = ARGV[2] / ARGV[3], tonumber(ARGV[3])
local mean = tonumber(redis.call('HGET', KEYS[1], ARGV[1])) or latest
mean = mean + (latest - mean) * (1 - math.exp(-requests / __LATELY__))
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.3f', mean))
""".replace("__LATELY__", str(_LATELY))


@dataclass(slots=True)
class Stats:
    """What happened to the requests of one revision within some time."""

    seconds: int = 0
    counters: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        return self.counters["requests"]

    @property
    def errors(self) -> int:
        return self.counters["errors"]

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0

    def percentile(self, share: float, kind: str = "latency") -> float | None:
        """Seconds within which `share` of the requests were done (`first`: had their first token)."""
        prefix = f"{kind}:"
        counts = {int(name.removeprefix(prefix)): n for name, n in self.counters.items() if name.startswith(prefix)}
        left = share * sum(counts.values())
        for place in sorted(counts):
            left -= counts[place]
            if left <= 0:
                return bound(place)
        return None


def histogram_bucket(seconds: float) -> int:
    """The smallest place whose bound is not below `seconds`."""
    return max(0, math.ceil(STEPS * math.log2(max(seconds, _SMALLEST) / _SMALLEST) - 1e-9))


def bound(place: int) -> float:
    """Upper bound of a bucket of the histogram, in seconds."""
    return _SMALLEST * 2 ** (place / STEPS)


def measured(*, is_error: bool = False, times: Mapping[str, float | None], **amounts: float) -> Counter[str]:
    """The counters that one settled request adds. `times` are seconds by kind: latency, queue, first (token),
    inter (two tokens); those of requests that failed are left out."""
    added: Counter[str] = Counter(requests=1, errors=int(is_error))
    for kind, seconds in times.items():
        if seconds is not None and not is_error:
            added[f"{kind}:{histogram_bucket(seconds)}"] = 1
            added[f"{kind}_ms"] = round(1000 * seconds)
    for name, amount in amounts.items():
        added[name] = round(amount)
    return added


def add(counters: Mapping[str, Counter[str]], *, now: float | None = None) -> None:
    """Add counters by revision to the current bucket, and to the mean of what a request computes; one round trip."""
    bucket = int((now or time.time()) // BUCKET)
    with client().pipeline(transaction=False) as pipe:
        for revision, added in counters.items():
            if added["compute_ms"]:
                requests = max(1, added["requests"] - added["errors"])
                pipe.eval(_LEARN, 1, names.COMPUTE_KEY, revision, added["compute_ms"], requests)
            key = names.stats_key(revision, bucket)
            for name, amount in added.items():
                if amount:
                    pipe.hincrby(key, name, amount)
                    pipe.hincrby(names.TOTALS_KEY, f"{revision} {name}", amount)
            pipe.expire(key, KEEP)
        pipe.execute()


def totals() -> dict[str, Counter[str]]:
    """The counters of each revision since the beginning."""
    found: dict[str, Counter[str]] = {}
    for field_name, amount in client().hgetall(names.TOTALS_KEY).items():
        revision, _, name = field_name.partition(" ")
        found.setdefault(revision, Counter())[name] = int(amount)
    return found


def over(revisions: Iterable[str], *, seconds: int = 60, now: float | None = None) -> dict[str, Stats]:
    """Stats of each revision over the last `seconds` (in whole buckets, the running one included)."""
    return {
        revision: Stats(seconds, sum(buckets, Counter()))
        for revision, buckets in series(revisions, seconds=seconds, now=now).items()
    }


def series(revisions: Iterable[str], *, seconds: int, now: float | None = None) -> dict[str, list[Counter[str]]]:
    """The buckets of the last `seconds` of each revision, oldest first; one round trip."""
    revisions, count = list(revisions), max(1, -(-seconds // BUCKET))
    newest = int((now or time.time()) // BUCKET)
    with client().pipeline(transaction=False) as pipe:
        for revision in revisions:
            for bucket in range(newest - count + 1, newest + 1):
                pipe.hgetall(names.stats_key(revision, bucket))
        rows = [Counter({name: int(value) for name, value in row.items()}) for row in pipe.execute()]
    return {revision: rows[place * count : (place + 1) * count] for place, revision in enumerate(revisions)}
