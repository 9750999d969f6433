"""Administrators' open tabs hear of every new row of the audit log: what was done is seen at once everywhere."""

from typing import Any

import redis.exceptions
import structlog
from django.db import transaction
from django.db.models.signals import post_save

from apps.audit.models import AuditEntry
from apps.serving.events import tell_administrators

log = structlog.get_logger()


def connect() -> None:
    post_save.connect(_tell, sender=AuditEntry, dispatch_uid="console.live")


def _tell(instance: AuditEntry, created: bool, **_: Any) -> None:
    if created:
        transaction.on_commit(lambda: _send(instance.object_type))


def _send(what: str) -> None:
    """What was done is done: without Redis the tabs see it at their next look."""
    try:
        tell_administrators(type="console", what=what)
    except redis.exceptions.RedisError as error:
        log.warning("administrators were not told", what=what, error=str(error))
