"""Questions about a picture."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.decorators import members_only, person, senders_only
from apps.quotas.refusing import refusable, valid
from apps.search import explaining, queries
from apps.search.forms import QuestionForm
from apps.search.models import Picture, QueryPicture
from apps.search.permissions import owned_query_picture, visible_picture


@members_only
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """`picture` in the address is one of a collection; another one is sent from here."""
    form = QuestionForm(request.GET)
    form.is_valid()
    asked = form.cleaned_data.get("picture")
    context = {
        "models": queries.models(explaining.ANSWERING),
        "picture": visible_picture(request.user, asked) if asked else None,
        "question": form.cleaned_data.get("question", ""),
    }
    return render(request, "search/ask.html", context)


@senders_only
@require_POST
@refusable
def ask(request: HttpRequest) -> HttpResponse:
    data = valid(QuestionForm(request.POST)).cleaned_data
    thumbnail, shown = _picture(request, data)
    looked = explaining.answer(
        target=explaining.answering(data["deployment"]), thumbnail=thumbnail, question=data["question"],
        who=person(request),
    )  # fmt: skip
    return render(request, "search/_answer.html", {"looked": looked, "question": data["question"], **shown})


def _picture(request: HttpRequest, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Its name in the storage, and how it is shown. Raises Http404, ValueError."""
    found: Picture | QueryPicture
    if data["picture"]:
        found = visible_picture(request.user, data["picture"])
        return found.thumbnail, {"picture": found, "picture_url": reverse("search:thumbnail", args=[found.pk])}
    if not data["sent"]:
        raise ValueError(_("picture: choose one first"))
    found = owned_query_picture(request.user, data["sent"])
    if not found.is_ready:
        raise ValueError(_("picture: is not kept any more, or not read yet. Send it again."))
    return found.thumbnail, {"picture_url": reverse("search:sent_thumbnail", args=[found.pk])}
