"""Reading counters."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.quotas.limits import Counter, rows_of
from apps.quotas.periods import BUCKET_SECONDS, SPAN
from apps.quotas.scripts import READ
from apps.quotas.seeding import running, seed, spent
from apps.serving.connection import client


@dataclass(frozen=True, slots=True)
class Used:
    amount: int  # in what is counted
    empty_at: float  # seconds since the epoch: of one that slides, when all of it has left; 0 of others


def read(counters: Sequence[Counter]) -> list[Used]:
    """What is used of each now, settled and reserved; one round trip when all are known. Raises DatabaseError,
    redis.RedisError."""
    found = _read(counters)
    unknown = [counter for counter, used in zip(counters, found, strict=True) if used.amount < 0]
    if not unknown:
        return found
    seed(unknown)
    return [Used(max(0, used.amount), used.empty_at) for used in _read(counters)]


def read_uncounted(counters: Sequence[Counter]) -> list[Used]:
    """As `read`, of limits that do not hold: the ledger says it, and of requests at once what is reserved. Nobody
    counts for them, so nothing may make them known. Raises DatabaseError, redis.RedisError."""
    return [_uncounted(counter) for counter in counters]


def _uncounted(counter: Counter) -> Used:
    if counter.is_leases:
        return Used(running(counter), 0)
    buckets = {bucket: amount for bucket, amount in spent(counter) if amount}
    size = BUCKET_SECONDS.get(counter.window, 0)
    empty_at = (max(buckets) + SPAN + 1) * size if buckets and size else 0
    return Used(max(0, sum(buckets.values())), empty_at)


def _read(counters: Sequence[Counter]) -> list[Used]:
    if not counters:
        return []
    answer = client().register_script(READ)(args=[rows_of(counters), ""])
    return [Used(int(amount), float(at)) for amount, at in zip(answer[::2], answer[1::2], strict=True)]
