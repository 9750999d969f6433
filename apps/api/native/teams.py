"""Teams: those one is in; with a key of the scope admin administrators see and manage all."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema

from apps.accounts import teams
from apps.accounts.forms import MemberForm, RoleForm, TeamForm
from apps.accounts.models import Membership, Role, Scope, Team
from apps.accounts.permissions import managed_membership, managed_team, owned_team, visible_team, visible_teams
from apps.accounts.queries import members, teams_with_figures
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body, valid
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import acting, creating, in_thread, who

router = Router(auth=KeyAuth(Scope.ACCOUNT), tags=["Teams"])


class TeamOut(Schema):
    id: int
    name: str
    members: int
    my_role: Role | None = Field(description="null: one is not in it.")
    created_at: datetime


class MemberOut(Schema):
    id: int = Field(description="Of the membership.")
    user: int
    email: str
    name: str
    role: Role
    joined_at: datetime


class TeamIn(Body):
    name: str = Field(min_length=1, max_length=80)


class MemberIn(Body):
    email: str = Field(max_length=254, description="Of somebody who is here; others are invited.")
    role: Role = Role.MEMBER


class RoleIn(Body):
    role: Role


def _team(team: Any) -> TeamOut:
    told = {"id": team.pk, "name": team.name, "members": team.size, "my_role": team.my_role}
    return TeamOut(**told, created_at=team.created_at)


def _member(one: Membership) -> MemberOut:
    told = {"id": one.pk, "user": one.user_id, "email": one.user.email, "name": one.user.name}
    return MemberOut(**told, role=Role(one.role), joined_at=one.joined_at)


def _shown(request: HttpRequest, team: Team) -> TeamOut:
    user = acting(request)
    return _team(get_object_or_404(teams_with_figures(Team.objects.filter(pk=team.pk), user)))


@router.get("/teams", response=Page[TeamOut], summary="List teams")
@in_thread
def list_teams(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """By name."""
    user = acting(request)
    return page_of(teams_with_figures(visible_teams(user), user), ("name",), paging, _team)


@router.post("/teams", auth=KeyAuth(Scope.ADMIN), response={201: TeamOut}, summary="Make a team")
@creating
def create_team(request: HttpRequest, payload: TeamIn) -> TeamOut:
    """For administrators. Nobody is in it yet."""
    name = valid(TeamForm(payload.model_dump())).cleaned_data["name"]
    return _shown(request, teams.create_team(name=name, **who(request)))


@router.get("/teams/{int:team_id}", response=TeamOut, summary="Read a team")
@in_thread
def get_team(request: HttpRequest, team_id: int) -> TeamOut:
    return _shown(request, visible_team(acting(request), team_id))


@router.patch("/teams/{int:team_id}", response=TeamOut, summary="Rename a team")
@in_thread
def rename_team(request: HttpRequest, team_id: int, payload: TeamIn) -> TeamOut:
    """For whoever administers it."""
    team = managed_team(acting(request), team_id)
    name = valid(TeamForm(payload.model_dump())).cleaned_data["name"]
    teams.rename_team(team=team, name=name, **who(request))
    return _shown(request, team)


@router.delete("/teams/{int:team_id}", response={204: None}, summary="Delete a team")
@in_thread
def delete_team(request: HttpRequest, team_id: int) -> None:
    """For its owners. Its keys are revoked; what it has used stays in the ledger."""
    teams.delete_team(team=owned_team(acting(request), team_id), **who(request))


@router.get("/teams/{int:team_id}/members", response=Page[MemberOut], summary="List a team's members")
@in_thread
def list_members(request: HttpRequest, team_id: int, paging: Query[Paging]) -> dict[str, Any]:
    """Those who came first, first."""
    return page_of(members(visible_team(acting(request), team_id)), ("id",), paging, _member)


@router.post("/teams/{int:team_id}/members", response=MemberOut, summary="Add a member")
@in_thread
def add_member(request: HttpRequest, team_id: int, payload: MemberIn) -> MemberOut:
    """For whoever administers it. Nothing happens to somebody who is in the team already."""
    user = acting(request)
    team = managed_team(user, team_id)
    form = valid(MemberForm(payload.model_dump(), by=user, team=team))
    return _member(teams.add_member(team=team, user=form.cleaned_data["email"], role=form.chosen, **who(request)))


@router.patch("/teams/members/{int:membership_id}", response=MemberOut, summary="Change a member's role")
@in_thread
def set_member_role(request: HttpRequest, membership_id: int, payload: RoleIn) -> MemberOut:
    """For whoever administers the team; over its owners only they have power."""
    membership = managed_membership(acting(request), membership_id)
    role = valid(RoleForm(payload.model_dump())).chosen
    teams.set_team_role(membership=membership, role=role, **who(request))
    return _member(membership)


@router.delete("/teams/members/{int:membership_id}", response={204: None}, summary="Remove a member")
@in_thread
def remove_member(request: HttpRequest, membership_id: int) -> None:
    """Their keys for the team end."""
    teams.remove_member(membership=managed_membership(acting(request), membership_id), **who(request))


@router.post("/teams/{int:team_id}/leave", response={204: None}, summary="Leave a team")
@in_thread
def leave_team(request: HttpRequest, team_id: int) -> None:
    """One's keys for the team end, also the one that asks."""
    own = Membership.objects.select_related("team", "user")
    teams.remove_member(membership=get_object_or_404(own, team=team_id, user=acting(request)), **who(request))
