"""Files: sending one, watching it, cancelling, having the classes."""

import json
from collections.abc import Iterator
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.audit.spreadsheet import MARK, csv_text, harmless
from apps.classify import batches, queries
from apps.classify.forms import FileForm
from apps.classify.models import Batch
from apps.classify.permissions import owned_batch
from apps.quotas.refusing import refusable, valid


@senders_only
@require_POST
@refusable
def start(request: HttpRequest) -> HttpResponse:
    form = valid(FileForm(request.POST, request.FILES)).cleaned_data
    batch = batches.start(
        owner=person(request), deployment=form["deployment"], upload=form["file"], column=form["column"]
    )
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("classify:batch", args=[batch.pk])})
    return redirect("classify:batch", batch.pk)


@members_only
@require_safe
def batch(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    return render(request, "classify/batch.html", _context(owned_batch(request.user, batch_id)))


@members_only
@require_safe
def live(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    """The part that changes while it runs; asks again by itself until it has ended."""
    return render(request, "classify/_batch.html", _context(owned_batch(request.user, batch_id)))


@members_only
@require_POST
def cancel(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    found = owned_batch(request.user, batch_id)
    if batches.cancel(batch=found):
        messages.success(request, _("Cancelled. What is classified is kept."))
    return redirect("classify:batch", found.pk)


@members_only
@require_POST
def delete(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    batches.delete(batch=owned_batch(request.user, batch_id))
    messages.success(request, _("The file and its classes are deleted"))
    return redirect("classify:page")


@members_only
@require_safe
def download(request: HttpRequest, batch_id: UUID, kind: str) -> StreamingHttpResponse:
    found = owned_batch(request.user, batch_id)
    if kind not in _KINDS:
        raise Http404
    lines, content_type = _KINDS[kind]
    response = StreamingHttpResponse(lines(found), content_type=f"{content_type}; charset=utf-8")
    name = f"{found.file_name.rpartition('.')[0] or found.file_name}-classes.{kind}"
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return response


def _context(found: Batch) -> dict[str, object]:
    counts = sorted(found.counts.items(), key=lambda item: -item[1])
    classified = max(1, sum(found.counts.values()))
    return {
        "batch": found,
        "counts": [(label, count, 100 * count / classified) for label, count in counts],
        "rows": queries.first_rows(found),
    }


def _csv(found: Batch) -> Iterator[str]:
    """Every row of the file that held a text, with the score of every class."""
    labels = sorted({label for row in queries.first_rows(found, 64) for label in row["scores"]})
    yield MARK + csv_text([["row", "text", "class", "score", *map(harmless, labels), "right", "error"]])
    for row in queries.all_rows(found):
        scores = [row["scores"].get(label, "") for label in labels]
        text, best, right, error = (harmless(row[name]) for name in ("text", "label", "right", "error"))
        yield csv_text([[row["row"], text, best, row["score"], *scores, right, error]])


def _jsonl(found: Batch) -> Iterator[str]:
    for row in queries.all_rows(found):
        told = {name: value for name, value in row.items() if value not in ("", None, {})}
        yield json.dumps(told, ensure_ascii=False) + "\n"


_KINDS = {"csv": (_csv, "text/csv"), "jsonl": (_jsonl, "application/jsonl")}
