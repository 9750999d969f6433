"""Making a link that lets somebody in, and what its receiver sees."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import invited
from apps.accounts.acts import carry_out, reason, refuse, who
from apps.accounts.decorators import members_only, person
from apps.accounts.forms import InvitationForm
from apps.accounts.invitations import accept, find_invitation, invite, revoke_invitation, send_invitation
from apps.accounts.models import Invitation
from apps.accounts.permissions import is_administrator, managed_invitation, managed_teams
from apps.accounts.views import people, teams


@members_only
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_variables("token", "link")
def create(request: HttpRequest) -> HttpResponse:
    """Shows the link, this once, on the page the person was on: it is answered directly, not redirected."""
    user = person(request)
    if request.method != "POST":  # somebody goes back to the page that showed a link
        return redirect("accounts:people" if is_administrator(user) else "accounts:teams")
    if not managed_teams(user).exists() and not is_administrator(user):
        raise Http404
    form = InvitationForm(request.POST, by=user)
    if not form.is_valid():
        return refuse(request, form, to="accounts:teams")
    try:
        invitation, token = invite(**form.values(), **who(request))
    except ValueError as error:
        messages.error(request, reason(error))
        return redirect("accounts:teams")
    link = request.build_absolute_uri(reverse("accounts:invitation", args=[token]))
    return _show(request, invitation, link, is_mailed=send_invitation(invitation=invitation, link=link))


@members_only
@require_POST
def revoke(request: HttpRequest, invitation_id: int) -> HttpResponse:
    invitation = managed_invitation(person(request), invitation_id)
    to = reverse("accounts:people") if is_administrator(person(request)) else reverse("accounts:teams")
    return carry_out(
        request,
        lambda: revoke_invitation(invitation=invitation, **who(request)),
        _("The link works no more"),
        to=to,
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_variables("token")
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """What the link is for. A POST of somebody who is signed in accepts it; others sign up or in first."""
    found = find_invitation(token)
    if found is None:
        invited.forget(request)
        return render(request, "accounts/invitation_gone.html", status=404)
    if not request.user.is_authenticated:
        if request.method != "POST":
            invited.remember(request, token)
        return render(request, "accounts/invitation.html", {"invitation": found})
    if request.method == "POST":
        return _accept(request, found)
    context = {"invitation": found, "is_mine": found.is_for(person(request).email)}
    return render(request, "accounts/invitation.html", context)


def _accept(request: HttpRequest, found: Invitation) -> HttpResponse:
    to = reverse("accounts:team", args=[found.team_id]) if found.team_id else "/"
    invited.forget(request)
    return carry_out(
        request,
        lambda: accept(invitation=found, user=person(request), address=who(request)["address"]),
        _("Welcome"),
        to=to,
    )


def _show(request: HttpRequest, made: Invitation, link: str, *, is_mailed: bool) -> HttpResponse:
    """The page on which it was made, with the link."""
    context = {"made": made, "link": link, "is_mailed": is_mailed}
    if request.POST.get("on") == "team" and made.team_id:
        page = render(request, "accounts/team.html", teams.detail_context(request, made.team_id) | context)
    elif is_administrator(person(request)):
        page = render(request, "accounts/people.html", people.listing_context(request) | context)
    else:
        page = render(request, "accounts/team.html", teams.detail_context(request, made.team_id or 0) | context)
    page["Cache-Control"] = "no-store"
    return page
