"""Who gets past the door of a view."""

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url

from apps.accounts.models import User

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


def person(request: HttpRequest) -> User:
    """Who is behind a request that `members_only` let through."""
    assert isinstance(request.user, User)
    return request.user
