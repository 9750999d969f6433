"""What happened while somebody was away: a row for each who is to know of it."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Kind(models.TextChoices):
    """What a notice is about. Who sees the subject of which kind: permissions.py."""

    LIMIT = "limit", _("Limits")
    JOB = "job", _("Jobs")
    INCIDENT = "incident", _("Incidents")
    ASSIGNED = "assigned", _("Assigned to me")
    DETECTOR = "detector", _("Detectors")
    CLASSIFIER = "classifier", _("Classifiers")
    DEPLOYMENT = "deployment", _("Deployments")
    INVITATION = "invitation", _("Invitations")
    KEY = "key", _("Keys")


class Level(models.TextChoices):
    INFO = "info", _("information")
    WARNING = "warning", _("warning")
    ERROR = "error", _("error")


class Notice(models.Model):
    """`message` is the id of a text in the catalogue with fields in braces, `values` what they hold; words are made of
    both where it is shown, in the reader's language (queries.py)."""

    # Without an index of its own: notice_of_reader begins with it.
    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices", db_index=False
    )
    kind = models.CharField(max_length=10, choices=Kind)
    level = models.CharField(max_length=7, choices=Level, default=Level.INFO)
    subject = models.CharField(max_length=120)  # of the kind: the id of an incident, of a job
    message = models.CharField(max_length=200)
    values = models.JSONField(default=dict)
    link = models.CharField(max_length=300, blank=True)  # path of the page that has more
    times = models.PositiveIntegerField(default=1)  # within the hour; message and level are the newest one's
    created_at = models.DateTimeField()  # when it was told first
    happened_at = models.DateTimeField()  # when it was told last
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-happened_at", "-pk"]
        indexes = [
            models.Index(fields=["reader", "-happened_at", "-id"], name="notice_of_reader"),
            models.Index(fields=["reader"], condition=models.Q(read_at=None), name="notice_unread"),
            models.Index(fields=["kind", "subject", "reader"], name="notice_of_subject"),
            models.Index(fields=["happened_at"], name="notice_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} for {self.reader_id}"

    @property
    def is_unread(self) -> bool:
        return self.read_at is None
