"""What people find in their notices of limits: those that are nearly used up, and those that have refused something.

A minute's limit is free again before anybody comes back, and so are the places of requests at once: of these nothing is
kept.
"""

from collections.abc import Iterable

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext_noop

from apps.accounts.models import APIKey, Membership, Team, User
from apps.accounts.permissions import is_administrator
from apps.notices.models import Kind, Level
from apps.notices.permissions import known, shown_when
from apps.notices.services import in_each_language, notify
from apps.quotas.limits import Counter
from apps.quotas.models import Metric, Scope, Window
from apps.quotas.people import those_in_charge
from apps.quotas.words import limit_words, subject_words
from apps.serving.connection import client

_TOLD_AGAIN = {Window.HOUR: 3600}  # seconds; of all others once a day
_DAY = 86_400
LimitKey = tuple[str, str, str, str]  # scope, subject, metric, window


@shown_when(Kind.LIMIT)
def _limits(user: User, subjects: set[str]) -> set[str]:
    """Of oneself, the organisation, one's teams and keys; administrators see all that is there."""
    whose = {one: one.split(":")[:2] for one in subjects}  # scope, id
    ids: dict[str, set[str]] = {}
    for scope, id in whose.values():
        ids.setdefault(scope, set()).add(id)
    seen: dict[str, set[str]] = {Scope.ORGANIZATION: {""}, Scope.USER: {str(user.pk)}}
    if teams := ids.get(Scope.TEAM):
        seen[Scope.TEAM] = known(_teams_of(user), teams)
    if keys := ids.get(Scope.KEY):
        seen[Scope.KEY] = known(APIKey.objects.all() if is_administrator(user) else user.api_keys.all(), keys)
    return {one for one, (scope, id) in whose.items() if id in seen.get(scope, ())}


def of_warning(counter: Counter, share: int, people: Iterable[User]) -> None:
    """Four fifths of it are used."""
    if not _is_kept(counter.metric, counter.window):
        return
    notify(
        to=people, kind=Kind.LIMIT, level=Level.WARNING, subject=":".join(counter.as_key), link=reverse("quotas:usage"),
        message=gettext_noop("{who}: {share} per cent of the limit of {limit} are used."),
        values={
            "who": in_each_language(lambda: subject_words(counter.scope, counter.subject)), "share": share,
            "limit": in_each_language(lambda: limit_words(counter)),
        },
    )  # fmt: skip


def of_refusals(found: Iterable[LimitKey]) -> None:
    """Something was turned away by each of these limits."""
    for scope, subject, metric, window in set(found):
        if _is_kept(metric, window) and _is_first(":".join((scope, subject, metric, window)), window):
            _tell_of_refusal(Scope(scope), subject, Metric(metric), Window(window))


def _tell_of_refusal(scope: Scope, subject: str, metric: Metric, window: Window) -> None:
    notify(
        to=_concerned(scope, subject), kind=Kind.LIMIT, level=Level.ERROR, link=reverse("quotas:usage"),
        subject=":".join((scope, subject, metric, window)),
        message=gettext_noop("{who}: a limit is used up and requests are turned away: {metric} {window}."),
        values={
            "who": in_each_language(lambda: subject_words(scope, subject)),
            "metric": in_each_language(lambda: str(metric.label)),
            "window": in_each_language(lambda: str(window.label)),
        },
    )  # fmt: skip


def _concerned(scope: Scope, subject: str) -> list[User]:
    """The person, the owner of the key, those in charge of a team or the organisation."""
    if scope in {Scope.USER, Scope.KEY}:
        mine = Q(pk=subject) if scope == Scope.USER else Q(api_keys=subject)
        return list(User.objects.filter(mine, is_active=True))
    return those_in_charge(scope, subject)


def _teams_of(user: User) -> QuerySet[Team]:
    mine = Membership.objects.filter(user=user).values("team_id")
    return Team.objects.all() if is_administrator(user) else Team.objects.filter(pk__in=mine)


def _is_kept(metric: str, window: str) -> bool:
    return metric != Metric.CONCURRENT_REQUESTS and window != Window.MINUTE


def _is_first(limit: str, window: str) -> bool:
    """For an hour or a day, of all processes that see it."""
    stays = _TOLD_AGAIN.get(Window(window), _DAY)
    return bool(client().set(f"quota-refused-told:{limit}", "1", nx=True, ex=stays))
