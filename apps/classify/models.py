"""Files whose lines are classified one by one."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Batch(models.Model):
    """A file of texts and how far it is. Its texts and their classes are kept in chunks."""

    class Status(models.TextChoices):
        READING = "reading", _("reading the file")
        RUNNING = "running", _("classifying")
        STOPPED = "stopped", _("stopped")  # who sent it may not send any more; can be gone on with
        DONE = "done", _("done")
        CANCELLED = "cancelled", _("cancelled")
        FAILED = "failed", _("failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="batches")
    # With which it was sent, if it was: its limits hold, and its team pays.
    key = models.ForeignKey("accounts.APIKey", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    deployment = models.CharField(max_length=80)
    file_name = models.CharField(max_length=200)
    upload = models.FileField(upload_to="classify/", blank=True)  # until it has been read
    column = models.CharField(max_length=200, blank=True)  # where the text is; found by the reader when left out
    label_column = models.CharField(max_length=200, blank=True)  # the right answer, where the file has one
    status = models.CharField(max_length=10, choices=Status, default=Status.READING)
    problem = models.CharField(max_length=400, blank=True)  # why it failed, waits or was stopped
    total = models.PositiveIntegerField(default=0)  # texts
    done = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)  # of those done, the ones that could not be classified
    agreed = models.PositiveIntegerField(default=0)  # of those done, the ones whose class is the right one
    counts = models.JSONField(default=dict)  # label -> texts
    skipped = models.JSONField(default=list)  # rows without a text, the first hundred: [row, reason]
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["owner", "-created_at"], name="batch_of_owner")]
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_live(self) -> bool:
        return self.status in {self.Status.READING, self.Status.RUNNING}

    @property
    def agreement(self) -> float | None:
        """Share of right answers among those classified; None where the file does not tell."""
        classified = self.done - self.failed
        return self.agreed / classified if self.label_column and classified else None


class Chunk(models.Model):
    """Texts that are sent as one request."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENT = "sent", _("sent")
        DONE = "done", _("done")

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    rows = models.JSONField()  # [[row in the file, text, right answer or ""]]
    # For each row [[label, score]], highest first, or {"error": sentence}, or none while it is not classified.
    results = models.JSONField()
    status = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    request_id = models.CharField(max_length=64, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["batch", "number"], name="one_chunk_each")]
        indexes = [
            models.Index(fields=["batch", "status", "number"], name="chunk_next"),
            models.Index(fields=["request_id"], condition=models.Q(status="sent"), name="chunk_of_request"),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id} {self.number}"
