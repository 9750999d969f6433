"""Reading the audit log."""

from django.db.models import Model, QuerySet

from apps.audit.models import AuditEntry


def entries_of(target: Model) -> QuerySet[AuditEntry]:
    """What happened to one object, newest first."""
    return AuditEntry.objects.filter(object_type=target._meta.model_name, object_id=str(target.pk))
