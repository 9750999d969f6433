"""Reading counters."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.quotas.limits import Counter, rows_of
from apps.quotas.scripts import READ
from apps.quotas.seeding import seed
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


def _read(counters: Sequence[Counter]) -> list[Used]:
    if not counters:
        return []
    answer = client().register_script(READ)(args=[rows_of(counters), ""])
    return [Used(int(amount), float(at)) for amount, at in zip(answer[::2], answer[1::2], strict=True)]
