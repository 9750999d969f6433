"""Who gets past the door of a view."""

import functools
from collections.abc import Callable
from typing import Any

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.accounts.permissions import is_administrator, may_send
from apps.accounts.queries import lacks_second_factor

View = Callable[..., HttpResponse]


def members_only(view: View) -> View:
    """Send strangers to the login page, also from inside a request that swaps a part of a page."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.headers.get("HX-Request"):
            # Following a redirect would swap the login page into a corner of this one.
            return HttpResponse(status=401, headers={"HX-Redirect": resolve_url("account_login")})
        return redirect_to_login(request.get_full_path())

    return wrapper


def administrators_only(view: View) -> View:
    """For everybody else the page does not exist. Where the organisation wants a second factor, that comes first."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not is_administrator(request.user):
            raise Http404
        if lacks_second_factor(person(request)):
            messages.error(request, _("Administrators need a second factor here. Set one up first."))
            return redirect("mfa_index")
        return view(request, *args, **kwargs)

    return members_only(wrapper)


def senders_only(view: View) -> View:
    """Viewers hear, with 403, that they may only look."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if may_send(request.user):
            return view(request, *args, **kwargs)
        return render(request, "accounts/viewer.html", status=403)

    return members_only(wrapper)


def confirmed(view: View) -> View:
    """Ask for the password or second factor again before the act, unless that was just done."""
    return reauthentication_required(view, allow_get=True)  # type: ignore[no-any-return]


def person(request: HttpRequest) -> User:
    """Who is behind a request that `members_only` let through."""
    assert isinstance(request.user, User)
    return request.user
