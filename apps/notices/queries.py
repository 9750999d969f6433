"""Notices as people read them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language, gettext

from apps.accounts.models import User
from apps.notices.models import Kind, Notice
from apps.notices.permissions import Person, own_notices, still_shown
from apps.serving.sentences import translated

MOST = 99  # more is told as 99+
_ICONS = {
    Kind.LIMIT: "gauge", Kind.JOB: "clock", Kind.INCIDENT: "anomaly", Kind.ASSIGNED: "user", Kind.DETECTOR: "anomaly",
    Kind.CLASSIFIER: "teach", Kind.DEPLOYMENT: "deployments", Kind.INVITATION: "team", Kind.KEY: "key",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A notice in words. Of one whose subject is gone, or is not shown to its reader any more, there are none."""

    notice: Notice
    text: str
    link: str
    is_gone: bool

    @property
    def icon(self) -> str:
        return _ICONS[Kind(self.notice.kind)]


def unread(user: Person) -> int:
    """How many nobody has read, and never more than MOST + 1: what every page asks."""
    return own_notices(user).filter(read_at=None)[: MOST + 1].count()


def unread_of(readers: Iterable[int]) -> dict[int, int]:
    """Of each of these, in one query."""
    rows = User.objects.filter(pk__in=readers).annotate(n=Count("notices", filter=Q(notices__read_at=None)))
    return dict(rows.values_list("pk", "n"))


def narrowed(user: Person, *, kind: str = "", only_unread: bool = False) -> QuerySet[Notice]:
    """The newest first."""
    found = own_notices(user).order_by("-happened_at", "-pk")
    if kind:
        found = found.filter(kind=kind)
    return found.filter(read_at=None) if only_unread else found


def behind(rows: QuerySet[Notice], happened_at: datetime, pk: int) -> QuerySet[Notice]:
    """What follows that place in the list."""
    return rows.filter(Q(happened_at__lt=happened_at) | Q(happened_at=happened_at, pk__lt=pk))


def lines(user: User, notices: Iterable[Notice]) -> list[Line]:
    notices = list(notices)
    shown = still_shown(user, notices)
    return [
        Line(one, _said(one), one.link, False) if one.pk in shown else Line(one, _gone(), "", True) for one in notices
    ]


def _gone() -> str:
    return gettext("What this was about is gone, or is not shown to you any more.")


def _said(notice: Notice) -> str:
    return gettext(notice.message).format(**{name: _value(name, value) for name, value in notice.values.items()})


def _value(name: str, value: Any) -> Any:
    """As services.py stores it: a moment, something told in every language, or, as `reason`, a sentence of a worker or
    a service."""
    if isinstance(value, dict) and "at" in value:
        here = timezone.localtime(datetime.fromisoformat(value["at"]))
        return gettext("%(day)s, %(time)s") % {"day": date_format(here, "DATE_FORMAT"), "time": here.strftime("%H:%M")}
    if isinstance(value, dict):
        value = value.get(get_language() or "en") or value["en"]
    return translated(value) if name == "reason" else value
