"""Filling counters from the ledger: after Redis has lost them, and for limits that are new.

Nothing passes a counter that is not known, so a loss is noticed by the first request that needs it, whichever part of
the data was lost. Sums are exact but for the bucket: the ledger says when something ended, admission when it began.
Requests at once are those that are reserved and have not ended.
"""

import json
import time
from collections import Counter as Counted
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db.models import BigIntegerField, F, Func, QuerySet, Sum, Value
from django.db.models.functions import Cast

from apps.quotas.limits import Counter
from apps.quotas.locks import reading
from apps.quotas.models import LedgerEntry, Scope, Window
from apps.quotas.periods import BUCKET_SECONDS, SPAN
from apps.quotas.scripts import LEASE, SEED
from apps.quotas.usage import LEASE_MARGIN, PLACES, account_of_reservation, unit_of
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


def forget(counter: Counter) -> None:
    """Its limit begins to hold, and nobody has counted for it until now: it is read anew when it is needed. Without a
    subject, those of everybody in the scope. Raises redis.RedisError."""
    is_default = not counter.subject and counter.scope != Scope.ORGANIZATION
    keys = list(client().scan_iter(match=f"{counter.key}*", count=1000)) if is_default else [counter.key]
    name = str(counter.as_row()[1])
    fields = [name, f"{name}=", *(f"{name}:{place}" for place in range(SPAN + 1))]
    with client().pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.delete(key) if counter.is_leases else pipe.hdel(key, *fields)
        pipe.execute()


def is_known(counter: Counter) -> bool:
    row = counter.as_row()
    return bool(client().exists(row[0]) if counter.is_leases else client().hexists(row[0], row[1]))


def _open() -> dict[str, Any]:
    """What is reserved and not settled, by source."""
    return {source: json.loads(said) for source, said in client().hgetall(names.RESERVATIONS_KEY).items()}


def _seed(counter: Counter, reserved: dict[str, Any]) -> int:
    row = counter.as_row()
    if counter.is_leases:
        running = [_lease_of(source, said) for source, said in reserved.items() if _counts_for(said, counter)]
        return int(client().register_script(LEASE)(args=[json.dumps(row), json.dumps(running)]))
    sums = dict(spent(counter, reserved))
    for held in reserved.values():
        if any(other[:2] == row[:2] for other in held["rows"]):
            bucket = _bucket_of(held["at"], counter)
            sums[bucket] = sums.get(bucket, 0) + held["amounts"][PLACES[counter.metric]]
    return int(client().register_script(SEED)(args=[json.dumps(row), json.dumps(list(sums.items()))]))


def _lease_of(source: str, said: dict[str, Any]) -> tuple[str, float, str]:
    kind, _, name = source.partition(":")
    if kind != "request":
        return source, said["ends"], ""
    return source, said["ends"] + LEASE_MARGIN, names.request_key(name)


def _counts_for(said: dict[str, Any], counter: Counter) -> bool:
    return account_of_reservation(said).subject(counter.scope) == counter.subject


def _bucket_of(moment: float, counter: Counter) -> int:
    size = BUCKET_SECONDS.get(counter.window, 0)
    return int(moment // size) if size else 0


def spent(counter: Counter, unsettled: Iterable[str] = ()) -> list[tuple[int, int]]:
    """Bucket and amount of what the ledger has, but for those sources: they are still to be counted."""
    if counter.is_leases:
        return []
    size = BUCKET_SECONDS.get(counter.window, 0)
    bucket = Func(F("at"), template=f"FLOOR(DATE_PART('epoch', %(expressions)s) / {size})") if size else Value(0)
    places = entries_of(counter).exclude(source__in=unsettled).annotate(bucket=Cast(bucket, BigIntegerField()))
    rows = places.values("bucket").order_by("bucket").annotate(total=Sum(str(counter.metric)))
    return [(row["bucket"], round(row["total"] * unit_of(counter.metric))) for row in rows]


def totals_by_subject(counter: Counter, leaving_out: Iterable[str]) -> dict[str, int]:
    """Of a default's window: what each subject of the scope has used, those left out that have a limit of their own."""
    if counter.is_leases:
        return _running_by_subject(counter.scope, leaving_out)
    field = _FIELDS[counter.scope]
    rows = (
        _within(LedgerEntry.objects.order_by(), counter)
        .exclude(**{field: None})
        .exclude(**{f"{field}__in": leaving_out})
    )
    found = rows.values_list(field).annotate(total=Sum(str(counter.metric)))
    return {str(subject): round(total * unit_of(counter.metric)) for subject, total in found}


def running(counter: Counter) -> int:
    """Requests at once that count for the subject, limited or not; those that have just ended are among them."""
    return sum(_counts_for(said, counter) for said in _open().values())


def _running_by_subject(scope: Scope, leaving_out: Iterable[str]) -> dict[str, int]:
    found = Counted(account_of_reservation(said).subject(scope) for said in _open().values())
    return {subject: count for subject, count in found.items() if subject is not None and subject not in leaving_out}


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
