"""One picture, and what is done to several at once."""

from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.quotas.refusing import refusable
from apps.search import explaining, pictures, queries, searching
from apps.search.forms import DescribeForm
from apps.search.models import Picture
from apps.search.permissions import owned_collection, owned_picture, visible_picture

_MOST_LABELS = 50


@members_only
@require_safe
def picture(request: HttpRequest, picture_id: UUID) -> HttpResponse:
    found = visible_picture(request.user, picture_id)
    context = {
        "picture": found,
        "collection": found.collection,
        "is_owner": found.collection.owner_id == person(request).pk,
        "similar": searching.similar(found, person(request)),
        "texts": searching.fitting_texts(found),
        "may_ask": bool(queries.models(explaining.ANSWERING)),
        "has_texts": found.collection.texts.exists(),
    }
    return render(request, "search/picture.html", context)


@senders_only
@require_POST
def describe(request: HttpRequest, picture_id: UUID) -> HttpResponse:
    found = owned_picture(request.user, picture_id)
    form = DescribeForm(request.POST)
    if form.is_valid():
        tags = form.cleaned_data["tags"].replace("，", ",").split(",")
        pictures.describe(picture=found, tags=tags, caption=form.cleaned_data["caption"])
        messages.success(request, _("Saved"))
    else:
        messages.error(request, " ".join(str(one) for errors in form.errors.values() for one in errors))
    return redirect("search:picture", found.pk)


@senders_only
@require_POST
@refusable
def labels(request: HttpRequest, picture_id: UUID) -> HttpResponse:
    """Which of one's own labels fits: a class for the picture without any training."""
    found = visible_picture(request.user, picture_id)
    names = [one.strip()[:200] for one in request.POST.get("labels", "").replace("，", ",").split(",") if one.strip()]
    if len(names) < 2:
        raise ValueError(_("labels: write at least two, with commas between them"))
    rows = searching.fitting_labels(found, names[:_MOST_LABELS], person(request))
    return render(request, "search/_labels.html", {"rows": rows})


@senders_only
@require_POST
def delete(request: HttpRequest, picture_id: UUID) -> HttpResponse:
    found = owned_picture(request.user, picture_id)
    pictures.delete(pictures=[found])
    messages.success(request, _("%(name)s is deleted") % {"name": found.name})
    return redirect("search:page", found.collection_id)


@senders_only
@require_POST
def delete_many(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    count = pictures.delete(pictures=_chosen(request, collection_id))
    done = ngettext("%(n)s picture is deleted", "%(n)s pictures are deleted", count) % {"n": count}
    messages.success(request, done)
    return _back(request, collection_id)


@senders_only
@require_POST
def tag_many(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    chosen, name = _chosen(request, collection_id), request.POST.get("tag", "").strip()[:40]
    if not name:
        messages.error(request, _("Write a tag first."))
        return _back(request, collection_id)
    count = pictures.tag(pictures=chosen, name=name)
    done = ngettext("%(n)s picture has the tag %(tag)s", "%(n)s pictures have the tag %(tag)s", count)
    messages.success(request, done % {"n": count, "tag": name})
    return _back(request, collection_id)


def _chosen(request: HttpRequest, collection_id: UUID) -> QuerySet[Picture]:
    """Those of one's own collection that are named; what is no id names none."""
    collection = owned_collection(request.user, collection_id)
    ids = []
    for text in request.POST.getlist("picture")[:1000]:
        try:
            ids.append(UUID(text))
        except ValueError:
            continue
    return collection.pictures.filter(pk__in=ids)


def _back(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    to = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(to, allowed_hosts={request.get_host()}):
        to = reverse("search:page", args=[collection_id])
    return redirect(to)
