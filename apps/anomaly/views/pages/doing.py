"""Views that do something and go back to a page, which tells that it was done, or why not."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.accounts.decorators import senders_only
from apps.quotas.refusing import REFUSALS, explain

Thing = TypeVar("Thing")


def doing(
    find: Callable[..., Thing], address: Callable[[Thing], str]
) -> Callable[[Callable[[HttpRequest, Thing], str | None]], Callable[..., HttpResponse]]:
    """A view of a verb on what `find(user, id)` finds, the id being the only one of the address. One gets to
    `address(thing)`, to the page that the form says it came from (`next`), or to what the verb returns."""

    def decorate(act: Callable[[HttpRequest, Thing], str | None]) -> Callable[..., HttpResponse]:
        @senders_only
        @require_POST
        @functools.wraps(act)
        def view(request: HttpRequest, **named: Any) -> HttpResponse:
            thing = find(request.user, *named.values())
            where = back(request, address(thing))
            try:
                where = act(request, thing) or where
            except REFUSALS as error:
                tell(request, error)
            return redirect(where)

        return view

    return decorate


def back(request: HttpRequest, otherwise: str) -> str:
    """Where the form says that it came from, if that is a page of ours."""
    wanted = request.POST.get("next", "")
    return wanted if wanted and url_has_allowed_host_and_scheme(wanted, {request.get_host()}) else otherwise


def tell(request: HttpRequest, error: Exception) -> None:
    _status, said = explain(error)
    other = said.get("limit") or said.get("no_worker") or _("This cannot be checked just now. Try again in a moment.")
    messages.error(request, " ".join(map(str, said.get("reasons") or [other])))


def address_of(request: HttpRequest) -> str | None:
    return request.META.get("REMOTE_ADDR") or None
