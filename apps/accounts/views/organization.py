"""The organisation's settings, for administrators; handing it over, for its owner."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import services
from apps.accounts.acts import carry_out, refuse, who
from apps.accounts.decorators import administrators_only, confirmed, person
from apps.accounts.forms import OrganizationForm, TransferForm
from apps.accounts.models import Organization, Role


@administrators_only
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest) -> HttpResponse:
    # ModelForm writes what is valid into its object: it gets one of its own, and the service the values.
    form = OrganizationForm(request.POST or None, instance=Organization.current())
    if request.method != "POST":
        return _page(request, form)
    if not form.is_valid():
        return _page(request, form, status=422)
    act = lambda: services.update_organization(**form.cleaned_data, **who(request))  # noqa: E731
    return carry_out(request, act, _("Settings saved"), to="accounts:organization")


@administrators_only
@require_POST
@confirmed
def transfer(request: HttpRequest) -> HttpResponse:
    form = TransferForm(request.POST, owner=person(request))
    if not form.is_valid():
        return refuse(request, form, to="accounts:organization")
    to = form.cleaned_data["to"]
    done = _("%(person)s owns the organisation now") % {"person": to.label}
    return carry_out(
        request, lambda: services.transfer_ownership(to=to, **who(request)), done, to="accounts:organization"
    )


def _page(request: HttpRequest, form: OrganizationForm, *, status: int = 200) -> HttpResponse:
    user = person(request)
    context: dict[str, Any] = {"form": form}
    if user.role == Role.OWNER:
        context["heirs"] = TransferForm(owner=user).fields["to"].queryset  # type: ignore[attr-defined]
    return render(request, "accounts/organization.html", context, status=status)
