"""Who did what to which object. Rows are added, never changed: the database refuses it."""

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    at = models.DateTimeField(_("when"), auto_now_add=True)
    # Without a constraint: an entry outlives the person, and deleting somebody must not change it.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+"
    )
    actor_label = models.CharField(max_length=254)  # e-mail address, or which part of the system: "guard"
    action = models.CharField(max_length=60)  # object.verb: "deployment.roll_back"
    object_type = models.CharField(max_length=40)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=200)
    data = models.JSONField(default=dict)  # what changed: {"weight": [0, 10]}
    address = models.GenericIPAddressField(null=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["object_type", "object_id", "-at"], name="audit_object"),
            models.Index(fields=["-at"], name="audit_at"),
            GinIndex(
                *(OpClass(Upper(name), name="gin_trgm_ops") for name in ("actor_label", "action", "object_label")),
                name="audit_words",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor_label} {self.action} {self.object_label}"
