"""Filling counters from the ledger: after Redis has lost them, and for limits that are new.

Nothing passes a counter that is not known, so a loss is noticed by the first request that needs it, whichever part of
the data was lost. Sums are exact but for the bucket: the ledger says when something ended, admission when it began.
"""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db.models import BigIntegerField, F, Func, QuerySet, Sum, Value
from django.db.models.functions import Cast

from apps.quotas.limits import Counter
from apps.quotas.locks import reading
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.quotas.periods import BUCKET_SECONDS, SPAN
from apps.quotas.scripts import SEED
from apps.quotas.usage import PLACES, unit_of
from apps.serving.connection import client
from contracts import names

_FIELDS = {Scope.TEAM: "team_id", Scope.USER: "user_id", Scope.KEY: "key_id"}


def seed(counters: Iterable[Counter]) -> int:
    """Make those known that are not; returns how many. Raises DatabaseError, redis.RedisError.

    After a loss many ask at once: the first reads, the others find it done."""
    with reading():
        unknown = [counter for counter in counters if not is_known(counter)]
        reserved = _open() if unknown else {}
        return sum(_seed(counter, reserved) for counter in unknown)


def forget_counters() -> int:
    """Drop all counters; each is read from the ledger again when it is needed. Leases and reservations stay."""
    with reading():
        found = list(client().scan_iter(match=names.quota_key("*", "*"), count=1000))
        return int(client().delete(*found)) if found else 0


def is_known(counter: Counter) -> bool:
    if counter.metric == Metric.CONCURRENT_REQUESTS:
        return True
    row = counter.as_row()
    return bool(client().hexists(row[0], row[1]))


def _open() -> dict[str, Any]:
    """What is reserved and not settled, by source."""
    return {source: json.loads(said) for source, said in client().hgetall(names.RESERVATIONS_KEY).items()}


def _seed(counter: Counter, reserved: dict[str, Any]) -> int:
    row = counter.as_row()
    sums = dict(spent(counter, reserved))
    for held in reserved.values():
        if any(other[:2] == row[:2] for other in held["rows"]):
            bucket = _bucket_of(held["at"], counter)
            sums[bucket] = sums.get(bucket, 0) + held["amounts"][PLACES[counter.metric]]
    return int(client().register_script(SEED)(args=[json.dumps(row), json.dumps(list(sums.items()))]))


def _bucket_of(moment: float, counter: Counter) -> int:
    size = BUCKET_SECONDS.get(counter.window, 0)
    return int(moment // size) if size else 0


def spent(counter: Counter, unsettled: Iterable[str] = ()) -> list[tuple[int, int]]:
    """Bucket and amount of what the ledger has, but for those sources: they are still to be counted."""
    if counter.metric == Metric.CONCURRENT_REQUESTS:
        return []
    size = BUCKET_SECONDS.get(counter.window, 0)
    bucket = Func(F("at"), template=f"FLOOR(DATE_PART('epoch', %(expressions)s) / {size})") if size else Value(0)
    places = entries_of(counter).exclude(source__in=unsettled).annotate(bucket=Cast(bucket, BigIntegerField()))
    rows = places.values("bucket").order_by("bucket").annotate(total=Sum(str(counter.metric)))
    return [(row["bucket"], round(row["total"] * unit_of(counter.metric))) for row in rows]


def totals_by_subject(counter: Counter, leaving_out: Iterable[str]) -> dict[str, int]:
    """Of a default's window: what each subject of the scope has used, those left out that have a limit of their own."""
    if counter.metric == Metric.CONCURRENT_REQUESTS:
        return {}
    field = _FIELDS[counter.scope]
    rows = (
        _within(LedgerEntry.objects.order_by(), counter)
        .exclude(**{field: None})
        .exclude(**{f"{field}__in": leaving_out})
    )
    found = rows.values_list(field).annotate(total=Sum(str(counter.metric)))
    return {str(subject): round(total * unit_of(counter.metric)) for subject, total in found}


def entries_of(counter: Counter) -> QuerySet[LedgerEntry]:
    """What the counter counts, as far as it is in the ledger."""
    entries = LedgerEntry.objects.order_by()
    if counter.scope in _FIELDS:
        entries = entries.filter(**{_FIELDS[counter.scope]: counter.subject})
    return _within(entries, counter)


def _within(entries: QuerySet[LedgerEntry], counter: Counter) -> QuerySet[LedgerEntry]:
    if counter.period is not None:
        return entries.filter(at__gte=counter.period.start)
    if counter.window == Window.NOW:
        return entries
    size = BUCKET_SECONDS[counter.window]
    return entries.filter(at__gte=datetime.fromtimestamp((time.time() // size - SPAN) * size, UTC))
