"""Collections: the list of them, and what the owner of one does with it."""

import functools
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.quotas.refusing import Refused, explain, valid
from apps.search import catalogue, collections, demo, embedding, indexes, queries, sending
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
        "demo": (offered := [] if found else demo.sources()),
        "can_demo": any(not one.missing for one in offered),
    }
    return render(request, "search/collections.html", context)


@senders_only
@require_POST
def create(request: HttpRequest) -> HttpResponse:
    try:
        form = valid(NewCollectionForm(request.POST, user=person(request)))
        made = collections.create(owner=person(request), **form.cleaned_data)
    except _REFUSALS as error:
        _tell(request, error)
        return redirect("search:collections")
    return redirect("search:manage", made.pk)


@senders_only
@require_POST
def create_demo(request: HttpRequest) -> HttpResponse:
    try:
        made = demo.create(
            owner=person(request),
            deployment=request.POST.get("deployment", ""),
            keys=request.POST.getlist("sources"),
        )
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
def delete(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    found = owned_collection(request.user, collection_id)
    collections.delete(collection=found)
    messages.success(request, _("%(name)s and its pictures are deleted") % {"name": found.name})
    return redirect("search:collections")


# -- what its owner does on its own page -----------------------------------------------------------


def _on_own(act: Callable[[HttpRequest, Collection], object]) -> Callable[..., HttpResponse]:
    """A view that does something with one's own collection, tells it or why not, and goes back to its page."""

    @senders_only
    @require_POST
    @functools.wraps(act)
    def view(request: HttpRequest, collection_id: UUID) -> HttpResponse:
        found = owned_collection(request.user, collection_id)
        try:
            act(request, found)
        except _REFUSALS as error:
            _tell(request, error)
        return redirect("search:manage", found.pk)

    return view


@_on_own
def change(request: HttpRequest, found: Collection) -> None:
    form = valid(CollectionForm(request.POST, user=person(request)))
    collections.change(collection=found, **form.cleaned_data)
    messages.success(request, _("Saved"))


@_on_own
def switch(request: HttpRequest, found: Collection) -> None:
    indexes.switch(collection=found, deployment=request.POST.get("deployment", ""))
    messages.success(request, _("It is indexed anew. The old index serves until the new one is complete."))


@_on_own
def measure(request: HttpRequest, found: Collection) -> None:
    if index := indexes.serving_index(found):
        sending.ask_to_measure(index.pk)
        messages.success(request, _("Measuring. The figure appears here in a moment."))


@_on_own
def add_texts(request: HttpRequest, found: Collection) -> None:
    form = valid(TextsForm(request.POST, request.FILES))
    count = catalogue.add(collection=found, content=form.cleaned_data["file"].read())
    messages.success(request, ngettext("%(n)s text is new", "%(n)s texts are new", count) % {"n": count})


@_on_own
def clear_texts(request: HttpRequest, found: Collection) -> None:
    catalogue.clear(collection=found)
    messages.success(request, _("The texts are deleted"))


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
