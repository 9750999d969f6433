"""Profile page: name, language, theme, password."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.accounts.decorators import members_only, person
from apps.accounts.forms import ProfileForm


@members_only
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=person(request))
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Profile saved"))
        return redirect("accounts:profile")
    return _page(request, profile_form=form, status=422 if form.errors else 200)


def _page(request: HttpRequest, *, status: int = 200, **context: Any) -> HttpResponse:
    page = {
        "profile_form": ProfileForm(instance=person(request)),
    }
    return render(request, "accounts/profile.html", page | context, status=status)
