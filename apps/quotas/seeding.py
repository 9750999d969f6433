"""Filling counters from the ledger: after Redis has lost them, and for limits that are new.

Nothing passes a counter that is not known, so a loss is noticed by the first request that needs it, whichever part of
the data was lost. Sums are exact but for the bucket: the ledger says when something ended, admission when it began.
"""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, Func, IntegerField, QuerySet, Sum
from django.db.models.functions import Cast

from apps.quotas.limits import Counter, rows_of
from apps.quotas.locks import reading
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.quotas.periods import BUCKET_SECONDS, SPAN
from apps.quotas.scripts import SEED
from apps.quotas.usage import PLACES, unit_of
from apps.serving.connection import client
from contracts import names

_FIELDS = {Scope.TEAM: "team_id", Scope.USER: "user_id", Scope.KEY: "key_id"}


def seed(counters: Iterable[Counter]) -> int:
    """Make those known that are not; returns how many. Raises DatabaseError, redis.RedisError."""
    with reading():
        return sum(_seed(counter, _open()) for counter in counters if not is_known(counter))


def forget_counters() -> int:
    """Drop all counters; each is read from the ledger again when it is needed. Leases and reservations stay."""
    with reading():
        found = list(client().scan_iter(match=names.quota_key("*", "*"), count=1000))
        return int(client().delete(*found)) if found else 0


def is_known(counter: Counter) -> bool:
    if counter.metric == Metric.CONCURRENT_REQUESTS:
        return True
    row = json.loads(rows_of([counter]))[0]
    return bool(client().hexists(row[0], row[1]))


def _open() -> dict[str, Any]:
    """What is reserved and not settled, by source."""
    return {source: json.loads(said) for source, said in client().hgetall(names.RESERVATIONS_KEY).items()}


def _seed(counter: Counter, reserved: dict[str, Any]) -> int:
    row = json.loads(rows_of([counter]))[0]
    sums = dict(_spent(counter, set(reserved)))
    for held in reserved.values():
        if any(other[:2] == row[:2] for other in held["rows"]):
            bucket = _bucket_of(held["at"], counter)
            sums[bucket] = sums.get(bucket, 0) + held["amounts"][PLACES[counter.metric]]
    return int(client().register_script(SEED)(args=[json.dumps(row), json.dumps(list(sums.items()))]))


def _bucket_of(moment: float, counter: Counter) -> int:
    size = BUCKET_SECONDS.get(counter.window, 0)
    return int(moment // size) if size else 0


def _spent(counter: Counter, unsettled: set[str]) -> Iterable[tuple[int, int]]:
    """Bucket and amount, of what is settled: the rest is still to be counted when it is."""
    entries = entries_of(counter).exclude(source__in=unsettled)
    size = BUCKET_SECONDS.get(counter.window, 0)
    if not size:
        total = entries.aggregate(total=Sum(str(counter.metric)))["total"] or 0
        return [(0, round(total * unit_of(counter.metric)))]
    seconds = Func(F("at"), function="DATE_PART", template="DATE_PART('epoch', %(expressions)s)")
    places = entries.annotate(bucket=Cast(Func(seconds / size, function="FLOOR"), IntegerField()))
    rows = places.values("bucket").order_by("bucket").annotate(total=Sum(str(counter.metric))).values_list("bucket", "total")
    return [(bucket, round(total * unit_of(counter.metric))) for bucket, total in rows]


def entries_of(counter: Counter) -> QuerySet[LedgerEntry]:
    """What the counter counts, as far as it is in the ledger."""
    entries = LedgerEntry.objects.order_by()
    if counter.scope in _FIELDS:
        entries = entries.filter(**{_FIELDS[counter.scope]: counter.subject})
    if counter.period is not None:
        return entries.filter(at__gte=counter.period.start)
    if counter.window == Window.NOW:
        return entries
    size = BUCKET_SECONDS[counter.window]
    return entries.filter(at__gte=datetime.fromtimestamp((time.time() // size - SPAN) * size, UTC))
