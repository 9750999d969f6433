"""Pages that belong to no app: the theme, errors."""

import sys

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.accounts.permissions import may_open_raw_data

YEAR = 365 * 24 * 3600
OUTAGE_SECONDS = 5  # after which it is worth asking a database again


@require_POST
def set_theme(request: HttpRequest) -> HttpResponse:
    """Remember light or dark in a cookie; anything else follows the system again."""
    response = HttpResponseRedirect(_next(request))
    theme = request.POST.get("theme", "")
    if theme in {"light", "dark"}:
        response.set_cookie("theme", theme, max_age=YEAR, samesite="Lax")
    else:
        response.delete_cookie("theme", samesite="Lax")
    return response


def raw_data_login(request: HttpRequest, extra_context: object = None) -> HttpResponse:
    """The way into Django's admin. Raises PermissionDenied for somebody who is signed in and may not."""
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("admin:index"))
    if not may_open_raw_data(request):
        raise PermissionDenied
    return redirect("admin:index")


def server_error(request: HttpRequest) -> HttpResponse:
    """Called while the exception is handled. A database that does not answer is nobody's mistake: 503, try again."""
    if isinstance(sys.exception(), OperationalError | InterfaceError):
        response = render(request, "503.html", status=503)
        response["Retry-After"] = str(OUTAGE_SECONDS)
        return response
    return render(request, "500.html", status=500)


def _next(request: HttpRequest) -> str:
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        return target
    return "/"
