"""Verbs on people and the organisation. Those on keys, teams and invitations have files of their own.

Each writes the audit log, and raises Refused (a ValueError) with the reason to show.
"""

import secrets
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts import keys
from apps.accounts.models import Organization, Role, User
from apps.accounts.permissions import may_change, roles_to_give
from apps.accounts.queries import forget_mfa_rule
from apps.accounts.refusals import Refused
from apps.accounts.signals import rights_changed
from apps.audit.services import record

_COMMAND = "command line"


@transaction.atomic
def create_administrator(*, email: str, password: str | None = None) -> tuple[User, str]:
    """The owner, or an administrator where there is an owner, and the password: the given one or a random one to be
    shown once.

    An existing user of that address becomes one and gets the password. Writes the audit log.
    """
    password = password or secrets.token_urlsafe(12)
    user = User.objects.filter(email=email.lower()).first()
    if user is None:
        user = User.objects.create_superuser(email, password)
        record(action="user.create_administrator", target=user, part=_COMMAND, role=["", user.role])
        return user, password
    before, was_active = user.role, user.is_active
    if user.role != Role.OWNER:
        user.role = User.objects.role_of_administrator()
    user.is_active = True
    user.set_password(password)
    user.save()
    record(
        action="user.create_administrator", target=user, part=_COMMAND, role=[before, user.role], was_active=was_active
    )
    return user, password


@transaction.atomic
def set_role(*, user: User, role: Role, actor: User, address: str | None = None) -> None:
    """Somebody else's rights hold from their next request on; their tabs connect anew."""
    _lock()
    user.refresh_from_db()
    _check_may_change(actor, user)
    if role not in roles_to_give(actor):
        raise Refused("role", _("Only an owner can make somebody an owner."))
    if user.role == role:
        return
    _check_not_last_owner(user)
    before, user.role = user.role, role
    user.save(update_fields=["role"])
    _tell(user)
    record(action="user.set_role", target=user, actor=actor, address=address, role=[before, role])


@transaction.atomic
def adopt_role(*, user: User, role: Role) -> None:
    """What the identity provider says somebody is. Owners stay what they are."""
    if user.role in (Role.OWNER, role):
        return
    before, user.role = user.role, role
    user.save(update_fields=["role"])
    _tell(user)
    record(action="user.adopt_role", target=user, part="system", role=[before, role])


@transaction.atomic
def deactivate(*, user: User, actor: User, address: str | None = None) -> None:
    """Nobody signs in as them any more; sessions, keys and the invitations they made end at once."""
    _lock()
    user.refresh_from_db()
    _check_may_change(actor, user)
    if user == actor:
        raise Refused("user", _("You cannot deactivate yourself."))
    _check_not_last_owner(user)
    if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        return
    user.is_active = False
    for key in user.api_keys.filter(revoked_at=None):
        keys.revoke_api_key(key=key, actor=actor, address=address)
    user.invitations.filter(accepted_at=None, revoked_at=None).update(revoked_at=timezone.now())
    _end(list(UserSession.objects.filter(user=user)))
    _tell(user)
    record(action="user.deactivate", target=user, actor=actor, address=address)


@transaction.atomic
def reactivate(*, user: User, actor: User, address: str | None = None) -> None:
    """They may sign in again. Keys that were revoked stay revoked."""
    _check_may_change(actor, user)
    if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        user.is_active = True
        record(action="user.reactivate", target=user, actor=actor, address=address)


@transaction.atomic
def transfer_ownership(*, to: User, actor: User, address: str | None = None) -> None:
    """`to` owns the organisation, `actor` goes on as an administrator."""
    _lock()
    actor.refresh_from_db()
    to.refresh_from_db()
    if actor.role != Role.OWNER:
        raise Refused("to", _("Only an owner can hand the organisation over."))
    if to == actor or not to.is_active:
        raise Refused("to", _("Choose another active person."))
    to.role, actor.role = Role.OWNER, Role.ADMIN
    to.save(update_fields=["role"])
    actor.save(update_fields=["role"])
    _tell(to, actor)
    record(action="organization.transfer", target=Organization.current(), actor=actor, address=address, to=str(to))


@transaction.atomic
def end_session(*, session: UserSession, actor: User, address: str | None = None) -> None:
    """One browser is signed out; its tabs find out at once."""
    _end([session])
    _tell(session.user)
    record(action="session.end", target=session.user, actor=actor, address=address, where=session.ip)


@transaction.atomic
def end_sessions(*, user: User, actor: User, keep: str = "", address: str | None = None) -> int:
    """Every browser of theirs but the one whose session key is `keep` is signed out. Returns how many were."""
    sessions = list(UserSession.objects.filter(user=user).exclude(session_key=keep))
    _end(sessions)
    _tell(user)
    if sessions:
        record(action="session.end_all", target=user, actor=actor, address=address, number=len(sessions))
    return len(sessions)


@transaction.atomic
def remove_second_factor(*, user: User, actor: User | None = None, address: str | None = None) -> None:
    """Somebody who has lost the device signs in by password alone and sets another up. Their sessions end."""
    if actor is not None:
        _check_may_change(actor, user)
    Authenticator.objects.filter(user=user).delete()
    _end(list(UserSession.objects.filter(user=user)))
    _tell(user)
    record(action="user.remove_second_factor", target=user, actor=actor, address=address)


@transaction.atomic
def update_organization(*, actor: User, address: str | None = None, **changes: Any) -> None:
    """Audits what has changed, with the value before."""
    organization = Organization.objects.select_for_update().get(pk=Organization.current().pk)
    changed = {name: value for name, value in changes.items() if getattr(organization, name) != value}
    if not changed:
        return
    said = {name: [getattr(organization, name), value] for name, value in changed.items()}
    for name, value in changed.items():
        setattr(organization, name, value)
    organization.save(update_fields=list(changed))
    transaction.on_commit(forget_mfa_rule)
    record(
        action="organization.update", target=organization, actor=actor, address=address, changes=said,
        fields=", ".join(changed),
    )  # fmt: skip


def _lock() -> None:
    """One after the other: two owners who demote each other at once would leave none."""
    Organization.objects.select_for_update().get(pk=Organization.current().pk)


def _check_may_change(actor: User, user: User) -> None:
    if not may_change(actor, user):
        raise Refused("user", _("Only an owner can do this to an owner."))


def _check_not_last_owner(user: User) -> None:
    if user.is_last_owner:
        raise Refused("user", _("The organisation needs an owner. Make somebody else an owner first, or hand it over."))


def _end(sessions: list[UserSession]) -> None:
    for session in sessions:
        session.end()


def _tell(*users: User) -> None:
    for user in users:
        transaction.on_commit(lambda user_id=user.pk: rights_changed.send(sender=User, user_id=user_id))  # type: ignore[misc]
