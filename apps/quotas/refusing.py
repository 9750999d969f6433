"""A request that cannot be served, told on the page: what happened, what was kept, what to do next."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from apps.quotas.admission import LimitReached
from apps.quotas.limits import LimitsUnknown
from apps.quotas.words import refusal_words
from apps.serving.sentences import translated
from apps.serving.services import NoWorker, UnknownDeployment

View = Callable[..., HttpResponse]
FormType = TypeVar("FormType", bound=forms.Form)


class Refused(Exception):
    """The form was not valid. Carries the reasons, field by field."""

    def __init__(self, *invalid: forms.Form) -> None:
        self.reasons = [reason for form in invalid for reason in _reasons(form)]
        super().__init__("; ".join(self.reasons))


def valid(form: FormType) -> FormType:
    """The form, if it is valid. Raises Refused."""
    if not form.is_valid():
        raise Refused(form)
    return form


def refusable(view: View) -> View:
    """Answer refusals with a note that is put above the field; what was typed stays there."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except REFUSALS as error:
            return _note(request, error)

    return wrapper


REFUSALS = (Refused, LimitReached, NoWorker, UnknownDeployment, ValueError)


def explain(error: Exception) -> tuple[int, dict[str, Any]]:
    """Status and context of `quotas/_refusal.html` for a refusal."""
    match error:
        case LimitReached():
            return 429, {"limit": refusal_words(error), "retry_after": error.retry_after}
        case LimitsUnknown():
            return 503, {"limits_unknown": True, "retry_after": error.retry_after}
        case NoWorker():
            return 503, {"no_worker": translated(str(error)), "retry_after": error.retry_after}
        case UnknownDeployment():
            return 404, {"available": error.available}
        case Refused():
            return 422, {"reasons": error.reasons}
    field, _colon, reason = str(error).partition(": ")
    return 422, {"reasons": [f"{FIELD_NAMES.get(field, field)}: {translated(reason)}" if reason else translated(field)]}


def _note(request: HttpRequest, error: Exception) -> HttpResponse:
    status, context = explain(error)
    response = render(request, "quotas/_refusal.html", context, status=status)
    response["HX-Retarget"] = "#refusal"
    response["HX-Reswap"] = "innerHTML"
    if "retry_after" in context:
        response["Retry-After"] = str(context["retry_after"])
    return response


def _reasons(form: forms.Form) -> Iterable[str]:
    for field, errors in form.errors.items():
        label = form.fields[field].label if field in form.fields else None
        for reason in errors:
            yield f"{label or FIELD_NAMES.get(field, field)}: {reason}"


FIELD_NAMES = {
    "text": _("Message"),
    "prompt": _("Question"),
    "system_prompt": _("Instructions"),
    "title": _("Title"),
    "name": _("Name"),
    "examples": _("Examples"),
    "labels": _("Classes"),
    "version": _("Version"),
    "__all__": _("Settings"),
}
