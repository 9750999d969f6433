"""Verbs on teams and who is in them.

Each writes the audit log, and raises Refused (a ValueError) with the reason to show.
"""

from django.db import transaction
from django.utils.translation import gettext as _

from apps.accounts.keys import revoke_team_keys
from apps.accounts.models import Membership, Role, Team, User
from apps.accounts.permissions import team_roles_to_give
from apps.accounts.queries import teams_to_spend
from apps.accounts.refusals import Refused
from apps.audit.services import record


@transaction.atomic
def create_team(*, name: str, actor: User, address: str | None = None) -> Team:
    _check_name(name)
    team = Team.objects.create(name=name)
    record(action="team.create", target=team, actor=actor, address=address)
    return team


@transaction.atomic
def rename_team(*, team: Team, name: str, actor: User, address: str | None = None) -> None:
    if name == team.name:
        return
    _check_name(name, besides=team)
    before, team.name = team.name, name
    team.save(update_fields=["name"])
    record(action="team.rename", target=team, actor=actor, address=address, before=before)


@transaction.atomic
def delete_team(*, team: Team, actor: User, address: str | None = None) -> None:
    """Its keys are revoked, its invitations go; what it has used stays in the ledger."""
    revoke_team_keys(team=team, actor=actor, address=address)
    record(action="team.delete", target=team, actor=actor, address=address, members=team.memberships.count())
    team.delete()


@transaction.atomic
def add_member(*, team: Team, user: User, role: Role, actor: User | None, address: str | None = None) -> Membership:
    """Nothing happens to somebody who is in the team already. Who has no team chosen works for this one from now on."""
    membership, is_new = Membership.objects.get_or_create(team=team, user=user, defaults={"role": role})
    if is_new:
        if role != Role.VIEWER:
            User.objects.filter(pk=user.pk, team=None).update(team=team)
        record(action="team.add_member", target=team, actor=actor, address=address, member=str(user), role=role)
    return membership


@transaction.atomic
def set_team_role(*, membership: Membership, role: Role, actor: User, address: str | None = None) -> None:
    """A viewer of a team does nothing in its name: their keys for it end."""
    _check_may_touch(actor, membership)
    if role not in team_roles_to_give(actor, membership.team):
        raise Refused("role", _("Only an owner of the team can make somebody its owner."))
    if role == membership.role:
        return
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    if role == Role.VIEWER:
        _stop_spending(membership, actor, address)
    record(
        action="team.set_role", target=membership.team, actor=actor, address=address,
        member=str(membership.user), role=[before, role],
    )  # fmt: skip


@transaction.atomic
def remove_member(*, membership: Membership, actor: User, address: str | None = None) -> None:
    """Also how somebody leaves. Their keys for the team end, and it is no longer the team they work for."""
    is_leaving = membership.user_id == actor.pk
    if not is_leaving:
        _check_may_touch(actor, membership)
    _stop_spending(membership, actor, address)
    membership.delete()
    action = "team.leave" if is_leaving else "team.remove_member"
    record(action=action, target=membership.team, actor=actor, address=address, member=str(membership.user))


def choose_team(*, user: User, team: Team | None) -> None:
    """What this person does on pages counts for `team` from now on. Not audited: it is nobody else's matter."""
    if team is not None and not teams_to_spend(user).filter(pk=team.pk).exists():
        raise Refused("team", _("You are not in this team, or only look."))
    user.team = team
    user.save(update_fields=["team"])


def _check_name(name: str, besides: Team | None = None) -> None:
    alike = Team.objects.filter(name__iexact=name).exclude(pk=besides.pk if besides else None)
    if alike.exists():
        raise Refused("name", _("There is a team of this name already."))


def _check_may_touch(actor: User, membership: Membership) -> None:
    """Who administers a team has no power over its owners."""
    if membership.role not in team_roles_to_give(actor, membership.team):
        raise Refused("role", _("Only an owner of the team can do this to its owners."))


def _stop_spending(membership: Membership, actor: User, address: str | None) -> None:
    revoke_team_keys(team=membership.team, owner=membership.user, actor=actor, address=address)
    User.objects.filter(pk=membership.user_id, team=membership.team).update(team=None)
