"""Refusals are counted in Redis by the script that refuses, and put into the database in batches."""

from contextlib import suppress
from datetime import UTC, datetime

import redis
from django.db import connection, transaction
from django.db.models import F

from apps.quotas import noticing
from apps.quotas.models import Refusal, Scope
from apps.quotas.people import subject_label
from apps.serving.connection import client
from contracts import names

_TAKEN = names.REFUSALS_KEY + ":taken"
_LOCK = 7_313_003  # of PostgreSQL, for the whole installation


def store() -> int:
    """Into rows of an hour and limit; returns how many rows were touched. One does so at a time. What a process that
    ended had taken is stored first; when it ended just before its last act, those are lost."""
    if not client().exists(names.REFUSALS_KEY, _TAKEN):
        return 0
    with transaction.atomic():
        if not _is_first():
            return 0
        stored = _store_taken()
        if client().exists(names.REFUSALS_KEY):
            client().rename(names.REFUSALS_KEY, _TAKEN)
            stored += _store_taken()
    return stored


def store_for_reading() -> None:
    """For who looks at them now; without Redis they are shown as they are."""
    with suppress(redis.RedisError):
        store()


def _is_first() -> bool:
    """Until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _store_taken() -> int:
    taken = client().hgetall(_TAKEN)
    for field, count in taken.items():
        _add(field, int(count))
    client().delete(_TAKEN)
    limits = [tuple(field.split(" ")[1:]) for field in taken]
    transaction.on_commit(lambda: noticing.of_refusals(limits))
    return len(taken)


def _add(field: str, count: int) -> None:
    hour, scope, subject, metric, window = field.split(" ")
    row, is_new = Refusal.objects.get_or_create(
        hour=datetime.fromtimestamp(3600 * int(hour), UTC),
        scope=scope,
        subject=subject,
        metric=metric,
        window=window,
        defaults={"subject_label": subject_label(Scope(scope), subject), "count": count},
    )
    if not is_new:
        Refusal.objects.filter(pk=row.pk).update(count=F("count") + count)
