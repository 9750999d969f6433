"""Teaching, and asking what was taught. Both wait for the worker in the thread of the request."""

import base64
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.accounts.decorators import person, senders_only
from apps.quotas.refusing import refusable, valid
from apps.teach import teaching, windows
from apps.teach.examples import MOST_CHARS
from apps.teach.forms import ClassifierIdForm
from apps.teach.models import Classifier
from apps.teach.permissions import owned_classifier, visible_classifier
from apps.teach.views.doing import REFUSALS, back, tell
from contracts.clips import MOST_BYTES


@senders_only
@require_POST
def teach(request: HttpRequest, classifier_id: UUID) -> HttpResponse:
    found = owned_classifier(request.user, classifier_id)
    try:
        teaching.wait(version=teaching.teach(classifier=found, who=person(request)))
    except REFUSALS as error:
        tell(request, error)
    return back(found)


@senders_only
@require_POST
@refusable
def ask(request: HttpRequest) -> HttpResponse:
    """One text, picture, clip or window to the version that answers here; what it says, as a part of the page."""
    found = visible_classifier(request.user, valid(ClassifierIdForm(request.POST)).cleaned_data["classifier"])
    if found.version is None:
        raise ValueError(_("Teach it first."))
    asked, text = _ASKED[found.reads](request)
    (answer,) = teaching.answers(version=found.version, inputs=[asked], who=person(request))
    context: dict[str, Any] = {
        "classifier": found,
        "answer": answer,
        "text": text,
        "labels": found.labels.all(),
        "is_owner": found.owner_id == request.user.pk,
    }
    return render(request, "teach/_answer.html", context)


def _text(request: HttpRequest) -> tuple[str, str]:
    """What is asked, and how it is added to the examples."""
    text = request.POST.get("text", "").strip()[:MOST_CHARS]
    if not text:
        raise ValueError(_("Write a text first."))
    return text, text


def _window(request: HttpRequest) -> tuple[list[float], str]:
    if not request.POST.get("text", "").strip():
        raise ValueError(_("Write a line of numbers first."))
    text = windows.parse(request.POST["text"])
    return windows.numbers(text), text


def _picture(request: HttpRequest) -> tuple[str, str]:
    """Base64: it is decoded by the worker, not here."""
    file = request.FILES.get("picture")
    if file is None:
        raise ValueError(_("Choose a picture first."))
    if (file.size or 0) > settings.TEACH_MAX_FILE_MB * 2**20:
        raise ValueError(_("picture: is larger than %(n)s MB") % {"n": settings.TEACH_MAX_FILE_MB})
    return base64.b64encode(file.read()).decode(), ""


def _clip(request: HttpRequest) -> tuple[str, str]:
    """Base64: it is decoded by the worker, not here."""
    file = request.FILES.get("clip")
    if file is None:
        raise ValueError(_("Record a clip or choose one first."))
    if (file.size or 0) > MOST_BYTES:
        raise ValueError(_("clip: is larger than %(n)s MB") % {"n": MOST_BYTES // 2**20})
    return base64.b64encode(file.read()).decode(), ""


_ASKED: dict[str, Callable[[HttpRequest], tuple[Any, str]]] = {
    Classifier.Reads.TEXTS: _text, Classifier.Reads.PICTURES: _picture, Classifier.Reads.CLIPS: _clip,
    Classifier.Reads.WINDOWS: _window,
}  # fmt: skip
