"""Letting people in by a link, which works once."""

import hashlib
import secrets
import smtplib
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from apps.accounts.models import ADMINISTRATORS, INVITED_ROLES, Invitation, Organization, Role, Team, User
from apps.accounts.permissions import is_administrator, team_roles_to_give
from apps.accounts.refusals import Refused
from apps.accounts.signals import invitation_accepted, rights_changed
from apps.accounts.teams import add_member
from apps.audit.services import record

# From little to much: a link never takes away what somebody has.
_RANK = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2, Role.OWNER: 3}


@transaction.atomic
def invite(
    *,
    actor: User,
    email: str = "",
    role: Role = Role.MEMBER,
    team: Team | None = None,
    team_role: Role = Role.MEMBER,
    days: int | None = None,
    address: str | None = None,
) -> tuple[Invitation, str]:
    """An invitation and the token of its link, which is shown once. Writes the audit log.

    Raises Refused for a role that the inviting person may not give.
    """
    _check_may_invite(actor, role, team, team_role)
    token = secrets.token_urlsafe(24)
    invitation = Invitation.objects.create(
        digest=_digest(token), email=email.strip().lower(), role=role, team=team, team_role=team_role, invited_by=actor,
        expires_at=timezone.now() + timedelta(days=days or settings.INVITATION_DAYS),
    )  # fmt: skip
    record(
        action="invitation.create", target=invitation, actor=actor, address=address, role=role,
        team=team.name if team else "",
    )  # fmt: skip
    return invitation, token


def send_invitation(*, invitation: Invitation, link: str) -> bool:
    """Mail the link to the person it is for, if it names one; whether it was sent. Who made it has the link as well: a
    mail server that is down, or not there, stops nobody. What is printed on the console has reached nobody, and a link
    that lets somebody in is no matter for a log."""
    if not invitation.email or settings.EMAIL_BACKEND == _CONSOLE:
        return False
    context = {"invitation": invitation, "link": link, "organization": Organization.current()}
    subject = _("Invitation to %(organization)s") % {"organization": context["organization"]}
    try:
        send_mail(subject, render_to_string("accounts/mail/invitation.txt", context), None, [invitation.email])
    except (OSError, smtplib.SMTPException):
        return False
    return True


_CONSOLE = "django.core.mail.backends.console.EmailBackend"


@transaction.atomic
def revoke_invitation(*, invitation: Invitation, actor: User, address: str | None = None) -> None:
    """The link works no more. Nothing happens to one that was used."""
    open_ones = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None)
    if open_ones.update(revoked_at=timezone.now()):
        record(action="invitation.revoke", target=invitation, actor=actor, address=address)


@sensitive_variables("token")
def find_invitation(token: str) -> Invitation | None:
    """What the link is for, if it can still be used."""
    found = Invitation.objects.select_related("team", "invited_by").filter(digest=_digest(token)).first()
    return found if found and found.is_open else None


@transaction.atomic
def accept(*, invitation: Invitation, user: User, address: str | None = None) -> None:
    """`user` gets the role and the place in the team, if that is more than they have. Writes the audit log.

    Claims the invitation first: of two who use a link at once, one gets Refused.
    """
    if not invitation.is_for(user.email):
        raise Refused("invitation", _("This invitation is for another e-mail address."))
    now = timezone.now()
    unused = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, revoked_at=None, expires_at__gt=now)
    if not unused.update(accepted_at=now, accepted_by=user):
        raise Refused("invitation", _("This invitation was used already."))
    if _RANK[Role(invitation.role)] > _RANK[Role(user.role)]:
        user.role = invitation.role
        user.save(update_fields=["role"])
        transaction.on_commit(lambda: rights_changed.send(sender=User, user_id=user.pk))
    record(action="invitation.accept", target=invitation, actor=user, address=address, role=invitation.role)
    if invitation.team:
        team_role = Role(invitation.team_role)
        add_member(team=invitation.team, user=user, role=team_role, actor=user, address=address)
    invitation_accepted.send(sender=Invitation, invitation=invitation, user=user)


def _check_may_invite(actor: User, role: Role, team: Team | None, team_role: Role) -> None:
    """Administrators invite to anything but ownership, who administers a team into that team, as nothing more."""
    given = INVITED_ROLES if is_administrator(actor) else tuple(set(INVITED_ROLES) - set(ADMINISTRATORS))
    if role not in given or (team is None and not is_administrator(actor)):
        raise Refused("role", _("You cannot give this role."))
    if team and team_role not in team_roles_to_give(actor, team):
        raise Refused("team_role", _("You cannot give this role in the team."))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
