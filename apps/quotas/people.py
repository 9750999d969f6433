"""Whom a limit concerns."""

from apps.accounts.models import APIKey, Organization, Role, Team, User
from apps.quotas.models import Scope

_IN_CHARGE = (Role.OWNER, Role.ADMIN)


def those_in_charge(scope: Scope, subject: str) -> list[User]:
    """Who may raise a limit: the team's administrators for a team's, where it has any; else owners and administrators
    of the organisation."""
    people = User.objects.filter(is_active=True).order_by("pk")
    if scope == Scope.TEAM and subject:
        found = people.filter(memberships__team_id=subject, memberships__role__in=_IN_CHARGE).distinct()
        if found:
            return list(found)
    return list(people.filter(role__in=_IN_CHARGE))


def subject_label(scope: Scope, subject: str) -> str:
    """Its name as people see it; empty when it is gone, or names everybody of the scope."""
    if scope == Scope.ORGANIZATION:
        return Organization.current().name
    if not subject:
        return ""
    kind, field = {
        Scope.TEAM: (Team, "name"), Scope.USER: (User, "email"), Scope.KEY: (APIKey, "name"),
    }[scope]  # fmt: skip
    found = kind._default_manager.filter(pk=subject).values_list(field, flat=True).first()
    return str(found or "")
