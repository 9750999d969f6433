"""Reading the audit log."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Model, Q, QuerySet

from apps.audit.models import AuditEntry


@dataclass(frozen=True, slots=True)
class Search:
    """Every word is in the person, the action or the object, or is the address; `since` <= when < `until`."""

    words: str = ""
    kind: str = ""  # object_type
    since: datetime | None = None
    until: datetime | None = None

    def entries(self) -> QuerySet[AuditEntry]:
        """Newest first."""
        found = AuditEntry.objects.order_by("-pk")
        if self.kind:
            found = found.filter(object_type=self.kind)
        if self.since:
            found = found.filter(at__gte=self.since)
        if self.until:
            found = found.filter(at__lt=self.until)
        for word in self.words.split():
            found = found.filter(_has(word))
        return found


def entries_of(target: Model) -> QuerySet[AuditEntry]:
    """What happened to one object, newest first."""
    return AuditEntry.objects.filter(object_type=target._meta.model_name, object_id=str(target.pk))


def newest_act(action: str, target: Model) -> AuditEntry | None:
    """The last time that somebody did this to the object."""
    return entries_of(target).filter(action=action).order_by("-pk").first()


def older(entries: QuerySet[AuditEntry], *, before: int | None, size: int) -> list[AuditEntry]:
    """At most `size` entries that are older than the one of this number: a page costs the same however deep."""
    found = entries.filter(pk__lt=before) if before else entries
    return list(found[:size])


def _has(word: str) -> Q:
    found = Q(actor_label__icontains=word) | Q(action__icontains=word) | Q(object_label__icontains=word)
    try:
        return found | Q(address=str(ipaddress.ip_address(word)))
    except ValueError:
        return found
