"""Teams: those one is in; administrators see all."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from apps.accounts import teams
from apps.accounts.acts import carry_out, refuse, who
from apps.accounts.decorators import administrators_only, members_only, person
from apps.accounts.forms import InvitationForm, MemberForm, RoleForm, TeamForm
from apps.accounts.models import Membership
from apps.accounts.permissions import (
    is_administrator,
    managed_membership,
    managed_team,
    managed_teams,
    may_delete_team,
    owned_team,
    team_roles_to_give,
    visible_team,
    visible_teams,
)
from apps.accounts.queries import members, pending, teams_with_figures

_PAGE = 50


@members_only
@require_safe
def listing(request: HttpRequest) -> HttpResponse:
    found = teams_with_figures(visible_teams(person(request)), person(request))
    page = Paginator(found, _PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/teams.html", {"page": page, "may_make": is_administrator(person(request))})


@administrators_only
@require_POST
def create(request: HttpRequest) -> HttpResponse:
    form = TeamForm(request.POST)
    if not form.is_valid():
        return refuse(request, form, to="accounts:teams")
    name = form.cleaned_data["name"]
    done = _("Team %(name)s was made") % {"name": name}
    return carry_out(request, lambda: teams.create_team(name=name, **who(request)), done, to="accounts:teams")


@members_only
@require_safe
def detail(request: HttpRequest, team_id: int) -> HttpResponse:
    return render(request, "accounts/team.html", detail_context(request, team_id))


def detail_context(request: HttpRequest, team_id: int) -> dict[str, Any]:
    user = person(request)
    team = visible_team(user, team_id)
    manages = managed_teams(user).filter(pk=team.pk).exists()
    return {
        "team": team,
        "members": members(team),
        "mine": team.memberships.filter(user=user).first(),
        "manages": manages,
        "may_delete": may_delete_team(user, team),
        "roles": team_roles_to_give(user, team) if manages else (),
        "invitations": pending(team.invitations.all()) if manages else (),
        "keys": team.api_keys.filter(revoked_at=None).count(),
        "form": InvitationForm(by=user, initial={"team": team}),
    }


@members_only
@require_POST
def rename(request: HttpRequest, team_id: int) -> HttpResponse:
    team = managed_team(person(request), team_id)
    form = TeamForm(request.POST)
    if not form.is_valid():
        return refuse(request, form, to=_page(team_id))
    name = form.cleaned_data["name"]
    done = _("The team is called %(name)s now") % {"name": name}
    return carry_out(request, lambda: teams.rename_team(team=team, name=name, **who(request)), done, to=_page(team_id))


@members_only
@require_POST
def delete(request: HttpRequest, team_id: int) -> HttpResponse:
    """Its name has to be typed."""
    team = owned_team(person(request), team_id)
    if request.POST.get("typed") != team.name:
        messages.error(request, _("The name was not typed exactly; nothing was deleted."))
        return redirect(_page(team_id))
    done = _("Team %(name)s was deleted") % {"name": team.name}
    return carry_out(request, lambda: teams.delete_team(team=team, **who(request)), done, to="accounts:teams")


@members_only
@require_POST
def add_member(request: HttpRequest, team_id: int) -> HttpResponse:
    team = managed_team(person(request), team_id)
    form = MemberForm(request.POST, by=person(request), team=team)
    if not form.is_valid():
        return refuse(request, form, to=_page(team_id))
    user = form.cleaned_data["email"]
    done = _("%(person)s is in the team") % {"person": user.label}
    return carry_out(
        request,
        lambda: teams.add_member(team=team, user=user, role=form.chosen, **who(request)),
        done,
        to=_page(team_id),
    )


@members_only
@require_POST
def set_role(request: HttpRequest, membership_id: int) -> HttpResponse:
    membership = managed_membership(person(request), membership_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return refuse(request, form, to=_page(membership.team_id))
    done = _("%(person)s is %(role)s of the team now") % {"person": membership.user.label, "role": form.chosen.label}
    return carry_out(
        request,
        lambda: teams.set_team_role(membership=membership, role=form.chosen, **who(request)),
        done,
        to=_page(membership.team_id),
    )


@members_only
@require_POST
def remove_member(request: HttpRequest, membership_id: int) -> HttpResponse:
    membership = managed_membership(person(request), membership_id)
    done = _("%(person)s is no longer in the team") % {"person": membership.user.label}
    return carry_out(
        request,
        lambda: teams.remove_member(membership=membership, **who(request)),
        done,
        to=_page(membership.team_id),
    )


@members_only
@require_POST
def leave(request: HttpRequest, team_id: int) -> HttpResponse:
    memberships = Membership.objects.select_related("team", "user")
    membership = get_object_or_404(memberships, team=team_id, user=person(request))
    teams.remove_member(membership=membership, **who(request))
    messages.success(request, _("You have left %(team)s") % {"team": membership.team})
    return redirect("accounts:teams")


def _page(team_id: int) -> str:
    return reverse("accounts:team", args=[team_id])
