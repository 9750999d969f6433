"""Profile page: name, language, theme, password, API keys."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import keys
from apps.accounts.decorators import members_only, person
from apps.accounts.forms import KeyForm, ProfileForm
from apps.accounts.permissions import owned_key


@members_only
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=person(request))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Profile saved"))
        return redirect("accounts:profile")
    return _page(request, profile_form=form, status=422 if form.errors else 200)


@members_only
@require_POST
def create_key(request: HttpRequest) -> HttpResponse:
    """Make a key and show its secret, this once: the page is answered directly, not redirected."""
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _page(request, key_form=form, status=422)
    key, secret = keys.create_api_key(owner=person(request), name=form.cleaned_data["name"])
    response = _page(request, new_key=key, secret=secret)
    response["Cache-Control"] = "no-store"
    return response


@members_only
@require_POST
def revoke_key(request: HttpRequest, key_id: UUID) -> HttpResponse:
    key = owned_key(person(request), key_id)
    keys.revoke_api_key(key=key)
    messages.success(request, _("Key “%(name)s” revoked") % {"name": key.name})
    return redirect("accounts:profile")


def _page(request: HttpRequest, *, status: int = 200, **context: Any) -> HttpResponse:
    page = {
        "profile_form": ProfileForm(instance=person(request)),
        "key_form": KeyForm(),
        "keys": person(request).api_keys.all(),
        "base_url": request.build_absolute_uri("/v1"),
    }
    return render(request, "accounts/profile.html", page | context, status=status)
