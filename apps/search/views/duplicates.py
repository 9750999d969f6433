"""Pictures that are there more than once, to be looked through and deleted."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.accounts.decorators import members_only, person
from apps.search.duplicates import KINDS, groups
from apps.search.permissions import visible_collection


@members_only
@require_safe
def review(request: HttpRequest, collection_id: UUID, duplicates: str) -> HttpResponse:
    """One of three lists: exact, near, similar."""
    collection = visible_collection(request.user, collection_id)
    if duplicates not in KINDS:
        raise Http404
    context = {
        "collection": collection,
        "kind": duplicates,
        "groups": groups(duplicates, collection, person(request)),
        "is_owner": collection.owner_id == person(request).pk,
    }
    return render(request, "search/duplicates.html", context)
