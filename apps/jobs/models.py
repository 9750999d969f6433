"""Jobs: what takes minutes and runs on worker-train."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from contracts.names import JOBS_WITH_CHECKPOINTS


class Job(models.Model):
    class State(models.TextChoices):
        QUEUED = "QUEUED", _("queued")
        RUNNING = "RUNNING", _("running")
        SUCCEEDED = "SUCCEEDED", _("succeeded")
        FAILED = "FAILED", _("failed")
        CANCELLED = "CANCELLED", _("cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=40)
    title = models.CharField(_("title"), max_length=200)
    arguments = models.JSONField(default=dict)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.QUEUED)
    stage = models.CharField(max_length=200, blank=True)  # what it does now
    fraction = models.FloatField(default=0.0)  # 0 to 1
    reason = models.TextField(blank=True)  # why it failed
    result = models.JSONField(default=dict)
    details = models.JSONField(default=dict)  # what this kind tells besides: streams.Details, once it has ended
    log = models.TextField(blank=True)  # the end of it, once it has ended
    attempt = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="jobs")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.title

    @property
    def has_checkpoints(self) -> bool:
        """Another attempt goes on from the last one."""
        return self.kind in JOBS_WITH_CHECKPOINTS

    @property
    def is_over(self) -> bool:
        return self.state in {self.State.SUCCEEDED, self.State.FAILED, self.State.CANCELLED}
