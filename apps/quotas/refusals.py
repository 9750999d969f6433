"""Refusals are counted in Redis by the script that refuses, and put into the database in batches."""

from datetime import UTC, datetime

from django.db import transaction
from django.db.models import F

from apps.quotas.models import Refusal, Scope
from apps.quotas.people import subject_label
from apps.serving.connection import client
from contracts import names

_TAKEN = names.REFUSALS_KEY + ":taken"


def store() -> int:
    """Into rows of an hour and limit; returns how many rows were touched. What a process that ended had taken is stored
    first; when it ended just before its last act, those are counted twice."""
    stored = _store_taken()
    if client().exists(names.REFUSALS_KEY):
        client().rename(names.REFUSALS_KEY, _TAKEN)
        stored += _store_taken()
    return stored


def _store_taken() -> int:
    taken = client().hgetall(_TAKEN)
    with transaction.atomic():
        for field, count in taken.items():
            _add(field, int(count))
    client().delete(_TAKEN)
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
