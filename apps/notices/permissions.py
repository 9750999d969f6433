"""Whose notices, and who still sees what one is about. A stranger gets 404.

A notice is its reader's alone. What it says is shown as long as the reader may see its subject: the app that a kind
belongs to says for which (`shown_when`). A kind without a rule shows nothing.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db.models import Field, QuerySet
from django.shortcuts import get_object_or_404

from apps.accounts.models import APIKey, User
from apps.accounts.permissions import is_administrator, managed_invitations
from apps.jobs.models import Job
from apps.notices.models import Kind, Notice
from apps.serving.models import Deployment

Person = User | AnonymousUser
# The subjects, of those given, that this person may see.
Rule = Callable[[User, set[str]], set[str]]

_RULES: dict[str, Rule] = {}


def own_notices(user: Person) -> QuerySet[Notice]:
    return Notice.objects.filter(reader_id=user.pk or 0)


def own_notice(user: Person, notice_id: int) -> Notice:
    return get_object_or_404(own_notices(user), pk=notice_id)


def shown_when(*kinds: Kind) -> Callable[[Rule], Rule]:
    """The rule of these kinds."""

    def register(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(kinds, rule))
        return rule

    return register


def still_shown(user: User, notices: Iterable[Notice]) -> set[int]:
    """Ids of those whose subject is there and may be seen by their reader: a few queries a kind, whatever their
    number."""
    subjects: dict[str, set[str]] = {}
    notices = list(notices)
    for notice in notices:
        subjects.setdefault(notice.kind, set()).add(notice.subject)
    seen = {kind: _RULES[kind](user, asked) for kind, asked in subjects.items() if kind in _RULES}
    return {notice.pk for notice in notices if notice.subject in seen.get(notice.kind, ())}


def known(rows: QuerySet[Any], subjects: set[str]) -> set[str]:
    """Those that are ids of the rows."""
    ids = {one for one in subjects if _may_be_of(rows.model._meta.pk, one)}
    return {str(pk) for pk in rows.filter(pk__in=ids).values_list("pk", flat=True)}


def _may_be_of(field: Field[Any, Any], id: str) -> bool:
    try:
        field.to_python(id)
    except ValidationError:
        return False
    return True


# -- of the apps below this one --------------------------------------------------------------------


@shown_when(Kind.JOB)
def _jobs(user: User, subjects: set[str]) -> set[str]:
    """As the console shows them."""
    return known(Job.objects.all(), subjects) if is_administrator(user) else set()


@shown_when(Kind.DEPLOYMENT)
def _deployments(user: User, subjects: set[str]) -> set[str]:
    """Keys of revisions, as the console shows them."""
    if not is_administrator(user):
        return set()
    names = {one.rpartition("@")[0] for one in subjects}
    there = set(Deployment.objects.filter(name__in=names).values_list("name", flat=True))
    return {one for one in subjects if one.rpartition("@")[0] in there}


@shown_when(Kind.INVITATION)
def _invitations(user: User, subjects: set[str]) -> set[str]:
    return known(managed_invitations(user), subjects)


@shown_when(Kind.KEY)
def _keys(user: User, subjects: set[str]) -> set[str]:
    return known(APIKey.objects.filter(owner=user), subjects)
