"""Files: sending one, watching it, cancelling, going on, having the classes."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.classify import batches, downloads, queries
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


@senders_only
@require_POST
def go_on(request: HttpRequest, batch_id: UUID) -> HttpResponse:
    found = owned_batch(request.user, batch_id)
    batches.go_on(batch=found)
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
    return downloads.download(owned_batch(request.user, batch_id), kind)


def _context(found: Batch) -> dict[str, object]:
    counts = sorted(found.counts.items(), key=lambda item: -item[1])
    classified = max(1, sum(found.counts.values()))
    return {
        "batch": found,
        "counts": [(label, count, 100 * count / classified) for label, count in counts],
        "rows": queries.first_rows(found),
    }
