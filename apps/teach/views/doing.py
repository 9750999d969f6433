"""How a view does something to a classifier and tells it: done, or why not, on the page that it goes back to."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.accounts.decorators import person
from apps.accounts.models import User
from apps.quotas.refusing import REFUSALS, explain
from apps.teach.models import Classifier

__all__ = ["REFUSALS", "back", "tell", "who"]


def tell(request: HttpRequest, error: Exception) -> None:
    """A refusal as a notice."""
    _status, said = explain(error)
    if "limit" in said:
        reason = said["limit"]
    elif "available" in said:
        reason = _("The model that this classifier was made with is not deployed any more.")
    elif "limits_unknown" in said:
        reason = _("Limits cannot be read just now. Try again in a few seconds.")
    else:
        reason = said.get("no_worker") or " ".join(map(str, said.get("reasons", ())))
    messages.error(request, reason)


def back(classifier: Classifier) -> HttpResponse:
    return redirect("teach:page", classifier.pk)


def who(request: HttpRequest) -> dict[str, User | str | None]:
    """The arguments by which a verb that is written into the audit log knows who does it and from where."""
    return {"actor": person(request), "address": request.META.get("REMOTE_ADDR") or None}
