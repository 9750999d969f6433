"""The ledger as CSV, made while it is sent."""

from collections.abc import AsyncIterator

from asgiref.sync import sync_to_async
from django.db.models import Q, QuerySet
from django.http import StreamingHttpResponse

from apps.accounts.models import Organization, User
from apps.audit.services import record
from apps.audit.spreadsheet import MARK, csv_text, harmless
from apps.quotas.models import LedgerEntry, Scope
from apps.quotas.reports import entries
from apps.quotas.spans import Span
from apps.quotas.subjects import Subject

_TEXTS = ("kind", "user_label", "team_label", "key_label", "deployment", "revision")
_FIGURES = (
    "requests", "input_tokens", "cached_tokens", "output_tokens", "compute_seconds", "stored_bytes", "cost",
)  # fmt: skip
_NAMES = {"user_label": "person", "team_label": "team", "key_label": "key"}
HEAD = ("when", *(_NAMES.get(name, name) for name in _TEXTS), *_FIGURES, "currency", "outcome")
_BATCH = 1000


def download(subject: Subject, span: Span, *, actor: User, address: str | None) -> StreamingHttpResponse:
    """What the ledger has of the subject in the span. That somebody took what is of others is written down."""
    if subject.scope != Scope.USER or subject.id != str(actor.pk):
        days = {"since": str(span.first_day), "until": str(span.last_day)}
        record(action="usage.export", target=actor, actor=actor, address=address, whose=subject.label, **days)
    text = lines(entries(subject, span), Organization.current().currency)
    response = StreamingHttpResponse(text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="usage-{span.first_day}-{span.last_day}.csv"'
    response["Cache-Control"] = "no-store"
    return response


async def lines(rows: QuerySet[LedgerEntry], currency: str) -> AsyncIterator[str]:
    """Lines in batches, newest first; one query each, so that no cursor stays open while a client reads slowly."""
    yield MARK + csv_text([HEAD])
    before: LedgerEntry | None = None
    while batch := await sync_to_async(_older)(rows, before):
        yield csv_text(_row(entry, currency) for entry in batch)
        before = batch[-1]


def _older(entries: QuerySet[LedgerEntry], before: LedgerEntry | None) -> list[LedgerEntry]:
    """The next batch: a batch costs the same however far down."""
    if before:
        entries = entries.filter(Q(at__lt=before.at) | Q(pk__lt=before.pk), at__lte=before.at)
    return list(entries[:_BATCH])


def _row(entry: LedgerEntry, currency: str) -> list[object]:
    texts = [harmless(getattr(entry, name)) for name in _TEXTS]
    return [entry.at.isoformat(), *texts, *(getattr(entry, name) for name in _FIGURES), currency, entry.outcome]
