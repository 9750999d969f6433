"""The search page: a query stands in its address, so that it can be shared, kept and gone back to."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.accounts.permissions import may_send
from apps.quotas.refusing import REFUSALS, Refused, explain, refusable, valid
from apps.search import explaining, queries
from apps.search import saved as keeping
from apps.search.forms import ClickForm, SaveForm
from apps.search.models import Collection, QueryPicture
from apps.search.permissions import (
    owned_search,
    visible_collection,
    visible_collections,
    visible_picture,
    visible_pictures,
    visible_search,
    visible_text,
)
from apps.search.query import KINDS, PICTURE, SENT, Part, Query, read
from apps.search.searching import Found, Search


@members_only
@require_safe
def page(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = visible_collection(request.user, collection_id)
    context = {
        "collections": visible_collections(request.user).order_by("name"),
        "tags": queries.tags_of(collection),
        "kinds": KINDS,
        "is_owner": collection.owner_id == person(request).pk,
        "searches": collection.searches.select_related("owner"),
        # What the page's script copies for a new part, and the fields of the crop.
        "empty_words": {"part": Part("words", ""), "written": "", "label": "", "picture": ""},
        "empty_picture": {"part": Part(PICTURE, ""), "written": "", "label": "", "picture": ""},
        "crop_edges": [("left", _("Left")), ("top", _("Top")), ("right", _("Right")), ("bottom", _("Bottom"))],
        **_found(request, collection),
    }
    return render(request, "search/search.html", context, status=context["status"])


@members_only
@require_safe
def more(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    """The next page of results, or the reason why there is none."""
    context = _found(request, visible_collection(request.user, collection_id))
    return render(request, "search/_more.html", context, status=context["status"])


@senders_only
@require_safe
@refusable
def why(request: HttpRequest, picture_id: UUID) -> HttpResponse:
    """What each part of the query in the address adds to this picture's score, and where each word looked."""
    picture = visible_picture(request.user, picture_id)
    query = read(request.GET)
    found = explaining.why(picture=picture, query=query, user=person(request))
    shown = {each["part"]: each for each in _shown(query.parts, request)}
    context = {
        "picture": picture,
        "why": found,
        "rows": [(shown[part], share) for part, share in found.parts] if found else [],
        "most": max((abs(share) for _, share in found.parts), default=0) if found else 0,
        "before": request.GET.get("before", ""),
        "written": query.written(),
    }
    return render(request, "search/_why.html", context)


@members_only
@require_POST
def save(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = visible_collection(request.user, collection_id)
    form = SaveForm(request.POST)
    address = reverse("search:page", args=[collection.pk])
    try:
        data = valid(form).cleaned_data
        query = read(QueryDict(data["query"]))
        made = keeping.save(collection=collection, owner=person(request), name=data["name"], query=query)
        messages.success(
            request, _("Saved as %(name)s. Whoever sees the collection may open its link.") % {"name": made.name}
        )
        address += f"?{query.written()}"
    except (Refused, ValueError) as error:
        messages.error(request, " ".join(map(str, explain(error)[1]["reasons"])))
        address += f"?{QueryDict(form.data.get('query', '')).urlencode()}"
    return redirect(address)


@members_only
@require_safe
def saved(request: HttpRequest, search_id: UUID) -> HttpResponse:
    """The link that is shared."""
    found = visible_search(request.user, search_id)
    return redirect(f"{reverse('search:page', args=[found.collection_id])}?{found.query}")


@members_only
@require_POST
def delete_saved(request: HttpRequest, search_id: UUID) -> HttpResponse:
    found = owned_search(request.user, search_id)
    found.delete()
    messages.success(request, _("The saved search is deleted"))
    return redirect("search:page", found.collection_id)


@members_only
@require_POST
def click(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    """The page tells which result was opened; nobody waits for the answer."""
    collection = visible_collection(request.user, collection_id)
    form = ClickForm(request.POST)
    if not form.is_valid():
        return HttpResponse(status=422)
    data = form.cleaned_data
    picture = visible_picture(request.user, data["picture"]) if data["picture"] else None
    text = visible_text(request.user, data["text"]) if data["text"] else None
    if picture is None and text is None:
        return HttpResponse(status=422)
    keeping.click(
        collection=collection,
        user=person(request),
        query=data["query"],
        place=data["place"],
        picture=picture,
        text=text,
    )
    return HttpResponse(status=204)


def _found(request: HttpRequest, collection: Collection) -> dict[str, Any]:
    """What is found, or why nothing could be looked for; what was asked for is kept either way."""
    user = person(request)
    context: dict[str, Any] = {"collection": collection, "query": Query(), "found": Found([]), "status": 200}
    try:
        query = context["query"] = read(request.GET)
        context |= {"written": query.written(), "parts": _shown(query.others, request)}
        if query.parts and not may_send(user):
            raise Refused
        context["search"] = search = Search(collection=collection, query=query, user=user)
        context["found"] = found = search.page(request.GET.get("cursor", ""))
        start = int(request.GET.get("from", "") or 0) if request.GET.get("from", "").isdigit() else 0
        context |= {"start": start, "following_from": start + len(found.hits)}
    except REFUSALS as error:
        status, said = explain(error)
        if not said.get("reasons", True):
            status, said = (
                403,
                {"reasons": [_("Viewers look at what is there. Searching with words or pictures asks a model.")]},
            )
        context |= {"refusal": said, "status": status}
    return context


def _shown(parts: Iterable[Part], request: HttpRequest) -> list[dict[str, Any]]:
    """Parts as the form shows them."""
    parts = list(parts)
    ids = [part.value for part in parts if part.kind == PICTURE]
    names = {str(one.pk): one.name for one in visible_pictures(request.user).filter(pk__in=ids).only("name")}
    sent = {str(one.pk): one.name for one in QueryPicture.objects.filter(
        owner=person(request), pk__in=[part.value for part in parts if part.kind == SENT]
    )}  # fmt: skip
    return [_shown_part(part, names, sent) for part in parts]


def _shown_part(part: Part, names: dict[str, str], sent: dict[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"part": part, "written": str(part), "label": part.value, "picture": ""}
    if part.kind == PICTURE and part.value in names:
        shown |= {"label": names[part.value], "picture": reverse("search:thumbnail", args=[part.value])}
    elif part.kind == SENT and part.value in sent:
        shown |= {"label": sent[part.value], "picture": reverse("search:sent_thumbnail", args=[part.value])}
    return shown
