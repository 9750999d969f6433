"""What was used in a span: sums of the ledger, by day, model, team, person and key."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import F, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncHour

from apps.accounts.models import APIKey
from apps.quotas import subjects
from apps.quotas.models import LedgerEntry, Refusal, Scope, UsageDay, UsageHour
from apps.quotas.spans import Span
from apps.quotas.subjects import Subject
from apps.quotas.units import SHOWN, Number

GROUPS = {"model": None, "team": Scope.TEAM, "user": Scope.USER, "key": Scope.KEY}
GROUPS_OF = {
    Scope.ORGANIZATION: ("model", "team", "user", "key"),
    Scope.TEAM: ("model", "user", "key"),
    Scope.USER: ("model", "key"),
    Scope.KEY: ("model",),
}
STORED = "stored_bytes"  # what is held at the end, where the others are what was spent in between
Amounts = dict[str, Number]
Bucket = date | datetime


@dataclass(frozen=True, slots=True)
class Part:
    """What one model, team, person or key used."""

    label: str
    amounts: Amounts
    share: float  # of the compute time of all, 0 to 1
    who: str = ""  # how a query string names it; nothing for a model

    @property
    def metrics(self) -> list[tuple[str, Number]]:
        return [(metric, self.amounts[metric]) for metric in SHOWN if metric != STORED]


@dataclass(frozen=True, slots=True)
class Refused:
    """What a limit turned away in the span."""

    scope: Scope
    label: str
    metric: str
    window: str
    count: int
    last: datetime  # the hour of the newest


class Usage:
    """The use of a subject in a span. Four queries, however much was used."""

    def __init__(self, subject: Subject, span: Span) -> None:
        self.subject, self.span = subject, span
        found = _rows(subject, span).values("bucket", "deployment").annotate(**_SUMS).order_by()
        self._by_bucket: list[dict[str, Any]] = list(found)
        self._held = _held(subject, span)
        self.total = _added(self._by_bucket)
        self.before = _totals(subject, span.before)
        self.before[STORED] = sum(self._held.values()) - self.total[STORED]
        self.total[STORED] = sum(self._held.values())

    @property
    def is_empty(self) -> bool:
        return not any(self.total.values()) and not any(self.before.values())

    def series(self, metric: str) -> dict[str, list[Number]]:
        """Deployment: one value a bucket. Those that used most come first."""
        places = {bucket: place for place, bucket in enumerate(self.span.buckets)}
        found: dict[str, list[Number]] = defaultdict(lambda: [0] * len(places))
        for row in self._by_bucket:
            found[row["deployment"]][places[row["bucket"]]] += row[metric]
        if metric == STORED:
            found = {
                name: _levels(self._held.get(name, 0) - sum(found[name]), found[name]) for name in {*found, *self._held}
            }
        used = {name: values for name, values in found.items() if any(values)}
        return dict(sorted(used.items(), key=lambda each: (-sum(each[1]), each[0])))

    def by_model(self) -> list[Part]:
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self._by_bucket:
            rows[row["deployment"]].append(row)
        return self._parts((name, "", _added(of_one)) for name, of_one in rows.items())

    def by(self, group: str) -> list[Part]:
        """Most compute time first. Use without a team or a key is a part of its own, without a name."""
        scope = GROUPS[group]
        if scope is None:
            return self.by_model()
        id, label = f"{subjects.FIELDS[scope]}_id", f"{subjects.FIELDS[scope]}_label"
        rows = list(_rows(self.subject, self.span).values(id).annotate(**_SUMS, name=Max(label)).order_by())
        now = subjects.names(scope, [row[id] for row in rows if row[id] is not None])
        return self._parts(
            (now.get(str(row[id]), row["name"]), f"{scope}:{row[id]}" if row[id] is not None else "", _added([row]))
            for row in rows
        )

    def by_hour(self) -> list[int]:
        """Requests in each hour of the day."""
        hours = [0] * 24
        if self.span.is_hours:
            for row in self._by_bucket:
                hours[row["bucket"].astimezone(self.span.zone).hour] += row["requests"]
            return hours
        found = UsageHour.objects.filter(
            scope=self.subject.scope, subject=self.subject.id, day__range=(self.span.first_day, self.span.last_day)
        )
        for hour, requests in found.values_list("hour").annotate(total=Sum("requests")).order_by():
            hours[hour] = requests
        return hours

    def _parts(self, found: Iterable[tuple[str, str, Amounts]]) -> list[Part]:
        whole = float(self.total["compute_seconds"])
        parts = [
            Part(label, amounts, float(amounts["compute_seconds"]) / whole if whole else 0.0, who)
            for label, who, amounts in found
            if any(amounts[metric] for metric in SHOWN if metric != STORED)
        ]
        return sorted(parts, key=lambda part: (-part.share, -part.amounts["requests"], part.label))


def refused(subject: Subject, span: Span) -> list[Refused]:
    """The limits that turned requests away, most often first; a person's with those of the own keys."""
    found = Refusal.objects.filter(hour__gte=span.since, hour__lt=span.until)
    if subject.id:
        found = found.filter(Q(scope=subject.scope, subject=subject.id) | _of_own_keys(subject))
    rows = (
        found.values("scope", "subject", "metric", "window")
        .annotate(total=Sum("count"), last=Max("hour"), label=Max("subject_label"))
        .order_by("-total", "-last")
    )
    return [
        Refused(Scope(row["scope"]), row["label"], row["metric"], row["window"], row["total"], row["last"])
        for row in rows
    ]


def entries(subject: Subject, span: Span) -> QuerySet[LedgerEntry]:
    """The rows of the ledger themselves, newest first."""
    found = LedgerEntry.objects.filter(at__gte=span.since, at__lt=span.until, **subject.narrowed)
    return found.order_by("-at", "-pk")


def _of_own_keys(subject: Subject) -> Q:
    if subject.scope != Scope.USER:
        return Q(pk__in=[])
    keys = APIKey.objects.filter(owner_id=subject.id).values_list("pk", flat=True)
    return Q(scope=Scope.KEY, subject__in=[str(key) for key in keys])


_SUMS = {name: Sum(name) for name in SHOWN}


def _rows(subject: Subject, span: Span) -> QuerySet[Any]:
    """Hours come from the ledger, days from its sums; both have the same fields and `bucket`."""
    if span.is_hours:
        found = LedgerEntry.objects.filter(at__gte=span.since, at__lt=span.until)
        return found.filter(**subject.narrowed).annotate(bucket=TruncHour("at", tzinfo=UTC))
    days = UsageDay.objects.filter(day__range=(span.first_day, span.last_day))
    return days.filter(**subject.narrowed).annotate(bucket=F("day"))


def _totals(subject: Subject, span: Span) -> Amounts:
    return {name: value or 0 for name, value in _rows(subject, span).aggregate(**_SUMS).items()}


def _held(subject: Subject, span: Span) -> dict[str, int]:
    """Bytes that are stored at the end of the span, by deployment (none for files of people)."""
    days = UsageDay.objects.filter(day__lte=span.last_day, **subject.narrowed).exclude(stored_bytes=0)
    return dict(days.values_list("deployment").annotate(total=Sum(STORED)).order_by())


def _added(rows: Iterable[dict[str, Any]]) -> Amounts:
    rows = list(rows)
    return {name: sum(row[name] or 0 for row in rows) for name in SHOWN}


def _levels(before: Number, changes: Iterable[Number]) -> list[Number]:
    levels = []
    for change in changes:
        before += change  # type: ignore[assignment,operator]
        levels.append(before)
    return levels
