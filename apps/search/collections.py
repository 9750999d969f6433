"""Verbs on collections."""

from typing import Any

from django.db import transaction

from apps.accounts.models import APIKey, Team, User
from apps.search import indexes
from apps.search.models import Collection

TASK = indexes.TASK
_CHANGED = ("name", "team", "about", "keeps_location")


@transaction.atomic
def create(
    *, owner: User, name: str, deployment: str, team: Team | None = None, keeps_location: bool = False,
    key: APIKey | None = None, about: str = "",
) -> Collection:  # fmt: skip
    """An empty collection that can be searched at once. Raises UnknownDeployment, WrongTask, ValueError(`team: …`)."""
    version = indexes.version_of(deployment)
    collection = Collection.objects.create(
        owner=owner, name=name, team=_shared(owner, team), keeps_location=keeps_location, key=key, about=about
    )
    indexes.create_first(collection=collection, deployment=deployment, version=version)
    return collection


def change(*, collection: Collection, **values: Any) -> Collection:
    """Of name, team, about and keeps_location those that are given. Raises ValueError(`team: reason`)."""
    for name in _CHANGED:
        if name in values:
            setattr(collection, name, values[name])
    _shared(collection.owner, collection.team)
    collection.save(update_fields=_CHANGED)
    return collection


def delete(*, collection: Collection) -> None:
    """With its pictures, their files, indexes, saved searches (stored.py)."""
    collection.delete()


def _shared(owner: User, team: Team | None) -> Team | None:
    if team is not None and not team.memberships.filter(user=owner).exists():
        raise ValueError("team: is none that you are in")
    return team
