"""Who may see whose use, and who may change limits. A stranger gets 404: existence is not told."""

from django.http import Http404

from apps.accounts.models import APIKey, User
from apps.accounts.permissions import is_administrator
from apps.quotas import subjects
from apps.quotas.models import Scope
from apps.quotas.subjects import Subject


def visible_subject(user: User, who: str) -> Subject:
    """Whose use `who` names: nothing or "me", "organization", "team:3", "user:5", "key:<uuid>". Administrators see
    everything, owners and administrators of a team their team and its keys, everybody oneself and one's own keys."""
    if who in ("", "me"):
        return subjects.of_person(user)
    if who == Scope.ORGANIZATION and is_administrator(user):
        return subjects.organization()
    scope, _, id = who.partition(":")
    if id and scope in Scope.values and _may_see(user, Scope(scope), id):
        found = subjects.find(Scope(scope), id)
        if found:
            return found
    raise Http404


def shown_subjects(user: User) -> list[Subject]:
    """What a person chooses from: oneself, the teams one leads, the organisation."""
    everything = [subjects.organization()] if is_administrator(user) else []
    return [subjects.of_person(user), *subjects.led_teams(user), *everything]


def _may_see(user: User, scope: Scope, id: str) -> bool:
    if is_administrator(user):
        return True
    if scope == Scope.USER:
        return id == str(user.pk)
    led = {team.id for team in subjects.led_teams(user)}
    return id in led if scope == Scope.TEAM else _may_see_key(user, id, led)


def _may_see_key(user: User, id: str, led: set[str]) -> bool:
    if not subjects.find(Scope.KEY, id):
        return False
    key = APIKey.objects.filter(pk=id).values_list("owner_id", "team_id").first()
    return key is not None and (key[0] == user.pk or str(key[1]) in led)
