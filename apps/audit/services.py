"""Writing the audit log."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Model

from apps.audit.models import AuditEntry


def record(
    *,
    action: str,
    target: Model,
    actor: AbstractBaseUser | None = None,
    part: str = "system",
    address: str | None = None,
    **data: Any,
) -> AuditEntry:
    """Say who (or which `part` of the system) did `action` to `target`. Call it in the transaction of the act."""
    return AuditEntry.objects.create(
        actor_id=actor.pk if actor else None,
        actor_label=str(actor) if actor else part,
        action=action,
        object_type=target._meta.model_name or "",
        object_id=str(target.pk),
        object_label=str(target)[:200],
        data=data,
        address=address,
    )
