"""Whose use is looked at: the organisation, a team, a person, a key; also one that is gone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from apps.accounts.models import APIKey, Membership, Organization, Role, Team, User
from apps.quotas.models import LedgerEntry, Scope

FIELDS = {Scope.TEAM: "team", Scope.USER: "user", Scope.KEY: "key"}  # of the ledger: with _id and _label
_MODELS: dict[Scope, type[Model]] = {Scope.TEAM: Team, Scope.USER: User, Scope.KEY: APIKey}
_LEADS = (Role.OWNER, Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Subject:
    scope: Scope
    id: str  # pk as text; empty for the organisation
    label: str

    @property
    def who(self) -> str:
        """How a query string names it."""
        return f"{self.scope}:{self.id}" if self.id else str(self.scope)

    @property
    def narrowed(self) -> dict[str, str]:
        """The filter of the ledger and its sums."""
        return {f"{FIELDS[self.scope]}_id": self.id} if self.id else {}


def organization() -> Subject:
    """By its name, which nobody has to give it."""
    return Subject(Scope.ORGANIZATION, "", Organization.current().name or _("Organisation"))


def of_person(user: User) -> Subject:
    return Subject(Scope.USER, str(user.pk), user.label)


def led_teams(user: User) -> list[Subject]:
    """The teams of which somebody is an owner or administrator."""
    led = Membership.objects.filter(user=user, role__in=_LEADS).select_related("team").order_by("team__name")
    return [Subject(Scope.TEAM, str(place.team_id), place.team.name) for place in led]


def find(scope: Scope, id: str) -> Subject | None:
    """The subject of this pk; one that is gone as it was called when it was used. None when there never was one."""
    if not _is_pk(scope, id):
        return None
    label = names(scope, [id]).get(id) or _label_of_the_gone(scope, id)
    return Subject(scope, id, label) if label else None


def names(scope: Scope, ids: Iterable[Any]) -> dict[str, str]:
    """What those that still exist are called now, by pk as text."""
    found = _MODELS[scope]._default_manager.filter(pk__in=list(ids))
    return {str(each.pk): name_of(each) for each in found}


def name_of(thing: Model) -> str:
    return thing.email if isinstance(thing, User) else str(getattr(thing, "name", thing))


def _label_of_the_gone(scope: Scope, id: str) -> str:
    field = FIELDS[scope]
    known = LedgerEntry.objects.filter(**{f"{field}_id": id}).order_by("-at").values_list(f"{field}_label", flat=True)
    return known.first() or ""


def _is_pk(scope: Scope, id: str) -> bool:
    if scope == Scope.KEY:
        try:
            return str(UUID(id)) == id
        except ValueError:
            return False
    return scope in FIELDS and id.isascii() and id.isdigit() and len(id) <= 18


def called(scope: Scope, name: str) -> Subject | None:
    """By the name of a team, the e-mail address of a person, the name or beginning of a key that is in use."""
    match scope:
        case Scope.TEAM:
            found: Model | None = Team.objects.filter(name__iexact=name).first()
        case Scope.USER:
            found = User.objects.filter(email__iexact=name).first()
        case _:
            keys = APIKey.objects.filter(revoked_at=None)
            found = keys.filter(prefix=name.rstrip("…")).first() or _only(keys.filter(name=name))
    return Subject(scope, str(found.pk), name_of(found)) if found else None


def _only(keys: QuerySet[APIKey]) -> APIKey | None:
    """Names of keys are not unique; one that two have is no answer."""
    found = list(keys[:2])
    return found[0] if len(found) == 1 else None
