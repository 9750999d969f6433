"""The audit log as CSV, made while it is sent."""

import json
from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.db.models import QuerySet

from apps.audit.models import AuditEntry
from apps.audit.queries import older
from apps.audit.spreadsheet import MARK, harmless, text

HEAD = ("when", "who", "action", "object type", "object id", "object", "address", "data")
_BATCH = 1000


async def lines(entries: QuerySet[AuditEntry]) -> AsyncIterator[str]:
    """Lines in batches, newest first; one query each, so that no cursor stays open while a client reads slowly."""
    yield MARK + text([HEAD])
    before: int | None = None
    while batch := await sync_to_async(older)(entries, before=before, size=_BATCH):
        yield text(map(_row, batch))
        before = batch[-1].pk


def _row(entry: AuditEntry) -> list[str]:
    data = json.dumps(entry.data, ensure_ascii=False) if entry.data else ""
    values = (entry.actor_label, entry.action, entry.object_type, entry.object_id, entry.object_label)
    return [entry.at.isoformat(), *map(harmless, values), entry.address or "", data]
