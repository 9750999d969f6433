"""The keys page: what keys there are, make one, rotate, revoke."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import keys
from apps.accounts.acts import who
from apps.accounts.decorators import members_only, person, senders_only
from apps.accounts.permissions import is_administrator, managed_teams, owned_key, visible_key, visible_keys
from apps.api.key_forms import OVERLAPS, KeyForm, RotateForm
from apps.quotas.services import inherit_limits

app_name = "keys"
_PAGE = 50


@members_only
@require_http_methods(["GET", "HEAD", "POST"])
def listing(request: HttpRequest) -> HttpResponse:
    """The keys; a POST makes one and shows its secret, this once: the page is answered directly, not redirected."""
    return _make(request) if request.method == "POST" else _page(request)


@senders_only
@sensitive_variables("secret")
def _make(request: HttpRequest) -> HttpResponse:
    form = KeyForm(request.POST, owner=person(request))
    if not form.is_valid():
        return _page(request, form=form, status=422)
    key, secret = keys.create_api_key(
        owner=person(request),
        name=form.cleaned_data["name"],
        scopes=form.cleaned_data["scopes"],
        deployments=form.cleaned_data["deployments"],
        team=form.cleaned_data["team"],
        expires_at=form.expires_at(),
        address=_address(request),
    )
    return _page(request, new_key=key, secret=secret)


@senders_only
@require_POST
@sensitive_variables("secret")
def rotate(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """Only the owner may: whoever rotates sees the secret."""
    key = owned_key(person(request), key_id)
    form = RotateForm(request.POST)
    if not form.is_valid():
        return _page(request, status=422)
    try:
        with transaction.atomic():
            new, secret = keys.rotate_api_key(key=key, overlap=form.overlap(), **who(request))
            inherit_limits(to=new, of=[key], **who(request))
    except ValueError:
        messages.error(request, _("Key “%(name)s” has ended. Make a new one instead.") % {"name": key.name})
        return redirect("keys:listing")
    return _page(request, new_key=new, old_key=key, secret=secret)


@members_only
@require_POST
def revoke(request: HttpRequest, key_id: UUID) -> HttpResponse:
    key = visible_key(person(request), key_id)
    keys.revoke_api_key(key=key, actor=person(request), address=_address(request))
    messages.success(request, _("Key “%(name)s” revoked") % {"name": key.name})
    return redirect("keys:listing")


def _page(request: HttpRequest, *, status: int = 200, **context: Any) -> HttpResponse:
    """`?who=all` lists everybody's keys to administrators, to others those of the teams they administer as well."""
    user = person(request)
    is_all = request.GET.get("who") == "all"
    found = visible_keys(user) if is_all else user.api_keys.all()
    page = Paginator(found.select_related("owner", "team"), _PAGE).get_page(request.GET.get("page"))
    base_url = request.build_absolute_uri("/v1")
    values = {
        "form": KeyForm(owner=user),
        "sees_others": is_administrator(user) or managed_teams(user).exists(),
        "page": page,
        "query": "who=all&" if is_all else "",
        "is_all": is_all,
        "overlaps": OVERLAPS,
        "base_url": base_url,
        "command": f'curl {base_url}/models -H "Authorization: Bearer {context.get("secret", "")}"',
    }
    response = render(request, "api/keys.html", values | context, status=status)
    if "secret" in context:
        response["Cache-Control"] = "no-store"
    return response


def _address(request: HttpRequest) -> str | None:
    return request.META.get("REMOTE_ADDR") or None


urlpatterns = [
    path("", listing, name="listing"),
    path("<uuid:key_id>/rotate/", rotate, name="rotate"),
    path("<uuid:key_id>/revoke/", revoke, name="revoke"),
]
