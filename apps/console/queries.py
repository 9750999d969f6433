"""Rows of the console's pages: what is wanted (database), what is (leases) and how it does (stats)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from statistics import median
from time import time

from django.db.models import QuerySet

from apps.console.buckets import Buckets, joined, percentiles, total, whole
from apps.console.charts import spark
from apps.serving import stats
from apps.serving.connection import client
from apps.serving.models import Deployment, Revision
from apps.serving.queries import leases
from apps.serving.stats import BUCKET, Stats
from apps.serving.traffic import scaled, weights_of
from contracts import names
from contracts.messages import RevisionReport, WorkerLease

GENERATION = "text-generation"
HOUR = 3600
POINTS = 60


@dataclass(frozen=True)
class Row:
    """One revision as the table shows it."""

    revision: Revision
    buckets: Buckets  # of the last hour
    reports: list[tuple[WorkerLease, RevisionReport]] = field(default_factory=list)
    live: int = 0  # requests that have not ended

    def over(self, seconds: int) -> Stats:
        return whole(self.buckets[-max(1, seconds // BUCKET) :])

    @property
    def minute(self) -> Stats:
        return self.over(60)

    @property
    def hour(self) -> Stats:
        return whole(self.buckets)

    @property
    def p95(self) -> float | None:
        """Seconds, of the last ten minutes: fewer say too little."""
        return self.over(600).percentile(0.95)

    @property
    def hour_p95(self) -> float | None:
        return self.hour.percentile(0.95)

    @property
    def median(self) -> float | None:
        return self.hour.percentile(0.5)

    @property
    def first_median(self) -> float | None:
        return self.hour.percentile(0.5, "first")

    @property
    def inter_p95(self) -> float | None:
        """Seconds between two tokens."""
        return self.hour.percentile(0.95, "inter")

    @property
    def is_generation(self) -> bool:
        return bool(self.revision.version.model.task == GENERATION)

    @property
    def per_second(self) -> float:
        """Tokens of a text generation, requests of everything else."""
        minute = self.minute
        return minute.counters["completion_tokens"] / 60 if self.is_generation else minute.per_second

    @property
    def memory(self) -> int:
        """Bytes over all workers; what it took last time while it is not loaded."""
        measured = sum(report.memory_bytes for _, report in self.reports)
        return measured or (self.revision.memory_bytes if self.revision.is_wanted else 0)

    @property
    def spark(self) -> str:
        return spark(percentiles(joined(self.buckets, len(self.buckets) // POINTS), 0.95))

    @property
    def progress(self) -> float:
        return min((report.progress for _, report in self.reports), default=0.0)

    @property
    def running(self) -> int:
        return sum(report.running for _, report in self.reports)

    @property
    def waiting(self) -> int:
        return max(0, self.live - self.running)

    @property
    def ready_workers(self) -> int:
        return sum(report.state == "READY" for _, report in self.reports)


@dataclass(frozen=True, slots=True)
class Watched:
    """The figures that a guard compares with its limits."""

    deployment: Deployment
    figures: Stats

    @property
    def error_rate(self) -> float:
        return self.figures.error_rate

    @property
    def p95(self) -> float | None:
        return self.figures.percentile(0.95)

    @property
    def breaks_errors(self) -> bool:
        limit = self.deployment.guard_error_rate
        return limit is not None and self.error_rate > limit

    @property
    def breaks_p95(self) -> bool:
        limit, p95 = self.deployment.guard_p95_seconds, self.p95
        return limit is not None and p95 is not None and p95 > limit


@dataclass(frozen=True)
class Group:
    """A deployment with its rows, the newest first."""

    deployment: Deployment
    rows: list[Row]

    @cached_property
    def wanted(self) -> list[Row]:
        return [row for row in self.rows if row.revision.is_wanted]

    @property
    def canary(self) -> Row | None:
        """The newest revision, while another one runs beside it. One that failed has nothing to be given."""
        newest = next(iter(self.wanted), None)
        if newest is None or len(self.wanted) == 1:
            return None
        has_failed = newest.revision.state == Revision.State.FAILED and not newest.revision.weight
        return None if has_failed else newest

    @property
    def stable(self) -> Row | None:
        """The revision with most traffic besides the canary."""
        return max(self.wanted[1:], key=lambda row: (row.revision.weight, row.revision.number), default=None)

    @property
    def back_to(self) -> Row | None:
        """Where rolling back leads to, as `deployments.roll_back` decides it."""
        current = next((row for row in self.rows if row.revision.takes_over or row.revision.weight), None)
        failed = Revision.State.FAILED
        older = [
            row
            for row in self.rows
            if current and row.revision.number < current.revision.number and row.revision.state != failed
        ]
        ready = (row for row in older if row.revision.state == Revision.State.READY)
        return next(ready, None) or next(iter(older), None)

    @property
    def watched(self) -> Watched | None:
        """What the guard looks at: the newest revision with traffic."""
        newest = next((row for row in self.wanted if row.revision.weight), None)
        return Watched(self.deployment, newest.over(self.deployment.guard_window)) if newest else None


@dataclass(frozen=True)
class Now:
    """The strip of figures above the table; times in seconds, memory in bytes."""

    requests_a_minute: int
    usual_a_minute: float
    first_p95: float | None
    latency_p95: float | None
    waiting: int
    running: int
    failed: int  # in the last hour
    served: int  # in the last hour
    memory_used: int
    memory_total: int
    roomiest: WorkerLease | None


def groups(name: str = "") -> list[Group]:
    """Every deployment (or one) with its revisions: two queries and two round trips to Redis."""
    return groups_of(Deployment.objects.filter(name=name) if name else Deployment.objects.all())


def groups_of(found: Iterable[Deployment]) -> list[Group]:
    found = list(found)
    rows = rows_of(Revision.objects.filter(deployment__in=found))
    return [Group(one, [row for row in rows if row.revision.deployment_id == one.pk]) for one in found]


def rows_of(revisions: QuerySet[Revision]) -> list[Row]:
    found = list(revisions.select_related("deployment", "version__model").order_by("deployment__name", "-number"))
    keys = tuple(revision.key for revision in found)
    buckets = _last_hour(keys, int(time() // BUCKET))
    alive, live = leases(), _live(keys)
    return [
        Row(
            revision,
            buckets[revision.key],
            [(lease, lease.revisions[revision.key]) for lease in alive if revision.key in lease.revisions],
            live[revision.key],
        )
        for revision in found
    ]


def now(rows: Sequence[Row], alive: Sequence[WorkerLease] | None = None) -> Now:
    alive = leases() if alive is None else alive
    minute, hour = total(row.minute for row in rows), total(row.hour for row in rows)
    by_minute = [total(whole(part) for part in parts).requests for parts in _minutes(rows)]
    hosts = {lease.host: lease for lease in sorted(alive, key=lambda one: -one.memory_free)}
    return Now(
        requests_a_minute=minute.requests,
        usual_a_minute=median(by_minute) if by_minute else 0.0,
        first_p95=hour.percentile(0.95, "first"),
        latency_p95=hour.percentile(0.95),
        waiting=sum(row.waiting for row in rows),
        running=sum(row.running for row in rows),
        failed=hour.errors,
        served=hour.requests,
        memory_used=sum(lease.memory_used for lease in alive),
        memory_total=sum(lease.memory_total for lease in hosts.values()),
        roomiest=max(alive, key=lambda lease: lease.memory_free, default=None),
    )


@lru_cache(maxsize=8)
def _last_hour(keys: tuple[str, ...], bucket: int) -> dict[str, list[Counter[str]]]:
    """Stats of the last hour, read once a bucket and process however many tabs look at them."""
    return stats.series(keys, seconds=HOUR, now=bucket * BUCKET) if keys else {}


def _live(keys: Iterable[str]) -> dict[str, int]:
    """Requests of each revision that have not ended; one round trip."""
    keys = list(keys)
    with client().pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.zcard(names.live_key(key))
        return dict(zip(keys, pipe.execute(), strict=True))


def _minutes(rows: Sequence[Row]) -> list[list[Buckets]]:
    """The buckets of all rows, minute by minute; the running minute is left out."""
    per_minute = 60 // BUCKET
    return [
        [row.buckets[at : at + per_minute] for row in rows] for at in range(0, HOUR // BUCKET - per_minute, per_minute)
    ]


def shared(deployment: Deployment, number: int, share: int) -> dict[int, int]:
    """Per cent by revision number when `number` gets `share` and the others keep their proportions.

    When no other one has traffic, the rest goes to the one before it.
    """
    others = {each: weight for each, weight in weights_of(deployment).items() if each != number}
    if others and not any(others.values()):
        others[max((each for each in others if each < number), default=max(others))] = 1
    return {**scaled(others, 100 - share), number: share}
