"""Ten-second buckets of a revision, put together into longer stretches."""

from collections import Counter
from collections.abc import Iterable, Sequence

from apps.serving.stats import BUCKET, Stats

Buckets = Sequence[Counter[str]]


def joined(buckets: Buckets, size: int) -> list[Stats]:
    """The same time in fewer, longer parts."""
    size = max(1, size)
    return [whole(buckets[at : at + size]) for at in range(0, len(buckets), size)]


def whole(buckets: Buckets) -> Stats:
    return Stats(len(buckets) * BUCKET, sum(buckets, Counter()))


def total(several: Iterable[Stats]) -> Stats:
    listed = list(several)
    return Stats(max((one.seconds for one in listed), default=0), sum((one.counters for one in listed), Counter()))


def percentiles(parts: Iterable[Stats], share: float, kind: str = "latency") -> list[float | None]:
    return [part.percentile(share, kind) for part in parts]
