"""Who may do what to people, teams and keys. A stranger gets 404, never 403: existence is not told.

The role in the organisation (`User.role`) decides what somebody may do everywhere, the role in a team
(`Membership.role`) what in that team.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from apps.accounts.models import ADMINISTRATORS, INVITED_ROLES, APIKey, Invitation, Membership, Role, Team, User
from apps.accounts.queries import lacks_second_factor

Person = User | AnonymousUser


def is_administrator(user: object) -> bool:
    """The one rule for everything that is an administrator's, on pages, in the API and on sockets."""
    return isinstance(user, User) and user.is_active and user.is_administrator


def may_send(user: object) -> bool:
    """Whether somebody may ask a model for something, or make what does. Viewers may only look."""
    return isinstance(user, User) and user.is_active and user.may_send


def may_open_raw_data(request: HttpRequest) -> bool:
    """Django's admin looks past every other rule, so only owners see it."""
    user = request.user
    return is_administrator(user) and user.role == Role.OWNER and not lacks_second_factor(user)  # type: ignore[union-attr, arg-type]


# --- people


def known_person(user_id: int) -> User:
    return get_object_or_404(User, pk=user_id)


def may_change(actor: User, user: User) -> bool:
    """Administrators change everybody but owners, owners everybody."""
    return is_administrator(actor) and (user.role != Role.OWNER or actor.role == Role.OWNER)


def roles_to_give(actor: User) -> tuple[Role, ...]:
    return tuple(Role) if actor.role == Role.OWNER else INVITED_ROLES


# --- teams


def visible_teams(user: User) -> QuerySet[Team]:
    """One's own; administrators see all."""
    return Team.objects.all() if is_administrator(user) else Team.objects.filter(memberships__user=user)


def visible_team(user: User, team_id: int) -> Team:
    return get_object_or_404(visible_teams(user), pk=team_id)


def managed_teams(user: User) -> QuerySet[Team]:
    """Whose members this person manages."""
    if is_administrator(user):
        return Team.objects.all()
    return Team.objects.filter(pk__in=_administered(user))


def managed_team(user: User, team_id: int) -> Team:
    return get_object_or_404(managed_teams(user), pk=team_id)


def managed_membership(user: User, membership_id: int) -> Membership:
    memberships = Membership.objects.select_related("team", "user")
    return get_object_or_404(memberships, pk=membership_id, team__in=managed_teams(user))


def may_delete_team(user: User, team: Team) -> bool:
    return is_administrator(user) or team.memberships.filter(user=user, role=Role.OWNER).exists()


def owned_team(user: User, team_id: int) -> Team:
    """A team that this person may delete."""
    team = visible_team(user, team_id)
    if not may_delete_team(user, team):
        raise Http404
    return team


def team_roles_to_give(actor: User, team: Team) -> tuple[Role, ...]:
    """Who administers a team cannot make owners of it."""
    return tuple(Role) if may_delete_team(actor, team) else INVITED_ROLES


def managed_invitations(user: User) -> QuerySet[Invitation]:
    """Administrators see all, who administers a team those to it."""
    if is_administrator(user):
        return Invitation.objects.all()
    return Invitation.objects.filter(team__in=_administered(user))


def managed_invitation(user: User, invitation_id: int) -> Invitation:
    return get_object_or_404(managed_invitations(user), pk=invitation_id)


# --- keys


def owned_key(user: Person, key_id: UUID) -> APIKey:
    return get_object_or_404(APIKey, pk=key_id, owner_id=user.pk)


def visible_keys(user: User) -> QuerySet[APIKey]:
    """One's own and those of the teams one administers; administrators see, and may revoke, everybody's."""
    if is_administrator(user):
        return APIKey.objects.all()
    return APIKey.objects.filter(Q(owner=user) | Q(team__in=_administered(user)))


def visible_key(user: User, key_id: UUID) -> APIKey:
    return get_object_or_404(visible_keys(user), pk=key_id)


def outgrows(
    maker: APIKey, *, scopes: Collection[str], deployments: Collection[str], expires_at: datetime | None
) -> str:
    """What a key would give to another that it has not itself, by the field's name; empty when nothing."""
    if set(scopes) - set(maker.scopes):
        return "scopes"
    if maker.deployments and not (deployments and set(deployments) <= set(maker.deployments)):
        return "deployments"
    if maker.expires_at and not (expires_at and expires_at <= maker.expires_at):
        return "expires_at"
    return ""


def _administered(user: User) -> QuerySet[Membership, int]:
    """The ids of the teams in which this person is owner or administrator."""
    return user.memberships.filter(role__in=ADMINISTRATORS).values_list("team_id", flat=True)
