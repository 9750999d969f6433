"""Collections: the list of them, and what the owner of one does with it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.quotas.refusing import Refused, explain
from apps.search import catalogue, collections, embedding, indexes, queries, sending
from apps.search.forms import CollectionForm, NewCollectionForm, TextsForm
from apps.search.models import Collection
from apps.search.permissions import owned_collection, owned_index, visible_collection
from apps.serving.services import UnknownDeployment

_REFUSALS = (Refused, ValueError, UnknownDeployment)


@members_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    found = list(queries.collections_of(person(request)))
    covers = queries.covers(found)
    context = {
        "collections": [(one, covers.get(one.pk, [])) for one in found],
        "models": queries.models(),
        "form": NewCollectionForm(user=person(request)),
    }
    return render(request, "search/collections.html", context)


@senders_only
@require_POST
def create(request: HttpRequest) -> HttpResponse:
    form = NewCollectionForm(request.POST, user=person(request))
    try:
        if not form.is_valid():
            raise Refused(form)
        made = collections.create(owner=person(request), **form.cleaned_data)
    except _REFUSALS as error:
        _tell(request, error)
        return redirect("search:collections")
    return redirect("search:manage", made.pk)


@members_only
@require_safe
def manage(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    found = visible_collection(request.user, collection_id)
    form = CollectionForm(user=person(request))
    context = {
        "form": form,
        "models": queries.models(),
        "texts": found.texts.count(),
        "clicks": queries.click_figures(found),
        **_live_context(request, found),
    }
    return render(request, "search/manage.html", context)


@members_only
@require_safe
def live(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    """The part that changes while files are read and indexes built."""
    found = visible_collection(request.user, collection_id)
    return render(request, "search/_live.html", _live_context(request, found))


@senders_only
@require_POST
def change(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    found = owned_collection(request.user, collection_id)
    form = CollectionForm(request.POST, user=person(request))
    try:
        if not form.is_valid():
            raise Refused(form)
        collections.change(collection=found, **form.cleaned_data)
        messages.success(request, _("Saved"))
    except _REFUSALS as error:
        _tell(request, error)
    return redirect("search:manage", found.pk)


@senders_only
@require_POST
def delete(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    found = owned_collection(request.user, collection_id)
    collections.delete(collection=found)
    messages.success(request, _("%(name)s and its pictures are deleted") % {"name": found.name})
    return redirect("search:collections")


@senders_only
@require_POST
def switch(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    found = owned_collection(request.user, collection_id)
    try:
        indexes.switch(collection=found, deployment=request.POST.get("deployment", ""))
        messages.success(request, _("It is indexed anew. The old index serves until the new one is complete."))
    except _REFUSALS as error:
        _tell(request, error)
    return redirect("search:manage", found.pk)


@senders_only
@require_POST
def measure(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    found = owned_collection(request.user, collection_id)
    index = indexes.serving_index(found)
    if index is not None:
        sending.ask_to_measure(index.pk)
        messages.success(request, _("Measuring. The figure appears here in a moment."))
    return redirect("search:manage", found.pk)


@senders_only
@require_POST
def retry_index(request: HttpRequest, index_id: int) -> HttpResponse:
    index = owned_index(request.user, index_id)
    count = embedding.retry_failed(index=index)
    done = ngettext("%(n)s picture is tried again", "%(n)s pictures are tried again", count) % {"n": count}
    messages.success(request, done)
    return redirect("search:manage", index.collection_id)


@senders_only
@require_POST
def give_up(request: HttpRequest, index_id: int) -> HttpResponse:
    index = owned_index(request.user, index_id)
    if indexes.give_up(index=index):
        messages.success(request, _("Given up. The old index goes on."))
    else:
        messages.error(request, _("This index serves by now."))
    return redirect("search:manage", index.collection_id)


@senders_only
@require_POST
def add_texts(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    found = owned_collection(request.user, collection_id)
    form = TextsForm(request.POST, request.FILES)
    try:
        if not form.is_valid():
            raise Refused(form)
        count = catalogue.add(collection=found, content=form.cleaned_data["file"].read())
        messages.success(request, ngettext("%(n)s text is new", "%(n)s texts are new", count) % {"n": count})
    except _REFUSALS as error:
        _tell(request, error)
    return redirect("search:manage", found.pk)


@senders_only
@require_POST
def clear_texts(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    found = owned_collection(request.user, collection_id)
    catalogue.clear(collection=found)
    messages.success(request, _("The texts are deleted"))
    return redirect("search:manage", found.pk)


def _live_context(request: HttpRequest, found: Collection) -> dict[str, Any]:
    states, uploads = queries.index_states(found), queries.upload_states(found)
    return {
        "collection": found,
        "is_owner": found.owner_id == person(request).pk,
        "indexes": states,
        "uploads": uploads,
        "is_busy": any(one.figures["left"] for one in uploads) or any(one.waiting for one in states),
    }


def _tell(request: HttpRequest, error: Exception) -> None:
    _status, said = explain(error)
    reasons = said.get("reasons") or [_("This model is not deployed")]
    messages.error(request, " ".join(map(str, reasons)))
