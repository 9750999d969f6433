"""Reading people, teams and invitations."""

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from apps.accounts.models import APIKey, Invitation, Membership, Organization, Role, Team, User

_MFA_RULE = "accounts:requires_admin_mfa"
_MFA_RULE_SECONDS = 60
SECOND_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def team_of(user: User, key: APIKey | None = None) -> Team | None:
    """What team a request counts for: the key's when it came by a key, else the one its person has chosen."""
    return key.team if key is not None else user.team


def teams_to_spend(user: User) -> QuerySet[Team]:
    """The teams in whose name this person may ask models; in some they may be a viewer."""
    return Team.objects.filter(memberships__in=user.memberships.exclude(role=Role.VIEWER))


def people(words: str = "") -> QuerySet[User]:
    """Everybody whose name or address has each of the words, with whether they have a second factor."""
    found = User.objects.annotate(has_second_factor=Exists(_second_factors(OuterRef("pk")))).order_by(
        "-is_active", "email"
    )
    for word in words.split():
        found = found.filter(Q(name__icontains=word) | Q(email__icontains=word))
    return found.prefetch_related("memberships__team")


def pending(invitations: QuerySet[Invitation]) -> QuerySet[Invitation]:
    """Those that were neither accepted nor revoked, also when they have expired."""
    return invitations.filter(accepted_at=None, revoked_at=None).select_related("team", "invited_by")


def teams_with_figures(teams: QuerySet[Team], user: User) -> QuerySet[Team]:
    """With the number of members, and the role that this person has there, if any."""
    mine = Membership.objects.filter(team=OuterRef("pk"), user=user).values("role")[:1]
    return (
        Team.objects.filter(pk__in=teams.values("pk"))
        .annotate(size=Count("memberships"), my_role=mine)
        .order_by("name")
    )


def members(team: Team) -> QuerySet[Membership]:
    return team.memberships.select_related("user").order_by(F("user__name"), "user__email")


def sessions(user: User) -> QuerySet[UserSession]:
    """Where somebody is signed in, the newest first; what has expired is left out."""
    alive = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    found: QuerySet[UserSession] = UserSession.objects.filter(user=user, session_key__in=alive)
    return found.order_by("-created_at")


def is_signup_open() -> bool:
    return bool(settings.SIGNUP_OPEN) and Organization.current().is_signup_open


def lacks_second_factor(user: User) -> bool:
    """Whether the organisation wants this administrator to set a second factor up first. No query for the rule."""
    return _requires_admin_mfa() and not has_second_factor(user)


def has_second_factor(user: User) -> bool:
    return _second_factors(user.pk).exists()


def with_second_factors(keys: QuerySet[APIKey]) -> QuerySet[APIKey]:
    """Each with `has_wanted_factor`: the owner has a second factor, or the organisation wants none."""
    wanted = Organization.objects.filter(requires_admin_mfa=True)
    return keys.annotate(has_wanted_factor=Exists(_second_factors(OuterRef("owner_id"))) | ~Exists(wanted))


def forget_mfa_rule() -> None:
    """Call it when the rule has changed; it is kept for a minute otherwise."""
    cache.delete(_MFA_RULE)


def _requires_admin_mfa() -> bool:
    return bool(cache.get_or_set(_MFA_RULE, lambda: Organization.current().requires_admin_mfa, _MFA_RULE_SECONDS))


def _second_factors(user_id: object) -> QuerySet[Authenticator]:
    found: QuerySet[Authenticator] = Authenticator.objects.filter(user_id=user_id, type__in=SECOND_FACTORS)
    return found
