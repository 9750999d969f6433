"""What was found: alarms of an asset that belong together, and what people say of them."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.anomaly.models.alerts import Severity
from apps.anomaly.models.assets import Asset, Sensor
from apps.anomaly.models.detectors import Detector


class Incident(models.Model):
    """Begins with an alarm; what comes while it lasts, or shortly after, joins it. It is over when no finding lasts;
    whether it is settled is for people to say."""

    class State(models.TextChoices):
        OPEN = "open", pgettext_lazy("incident", "open")
        ACKNOWLEDGED = "acknowledged", _("acknowledged")
        RESOLVED = "resolved", _("resolved")
        FALSE_ALARM = "false_alarm", _("false alarm")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="incidents")
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    began_at = models.DateTimeField()
    last_at = models.DateTimeField()  # of the newest step or reading that belongs to it
    ended_at = models.DateTimeField(null=True, blank=True)
    peak = models.FloatField(null=True, blank=True)  # highest score, as a multiple of the threshold
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="incidents"
    )
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    changed_at = models.DateTimeField(null=True, blank=True)  # its state, by somebody
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-began_at", "-pk"]
        indexes = [
            models.Index(fields=["asset", "-began_at", "-id"], name="incident_of_asset"),
            models.Index(fields=["asset", "-last_at"], condition=models.Q(ended_at=None), name="incident_live"),
            models.Index(fields=["asset"], condition=models.Q(state="open"), name="incident_open"),
            models.Index(fields=["assignee", "-began_at"], name="incident_of_assignee"),
        ]

    def __str__(self) -> str:
        return f"{self.began_at:%Y-%m-%d %H:%M}"

    @property
    def is_settled(self) -> bool:
        return self.state in {self.State.RESOLVED, self.State.FALSE_ALARM}


class Finding(models.Model):
    """One alarm of an incident: of which detector or sensor, how high, and why."""

    class Kind(models.TextChoices):
        SCORE = "score", _("unusual values")
        STOPPED = "stopped", _("sensor stopped")
        DEAD = "dead", _("detector stopped")

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=7, choices=Kind)
    detector = models.ForeignKey(Detector, null=True, on_delete=models.SET_NULL, related_name="findings")
    sensor = models.ForeignKey(Sensor, null=True, on_delete=models.SET_NULL, related_name="findings")
    began_at = models.DateTimeField()
    last_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    threshold = models.FloatField(null=True, blank=True)  # at its beginning
    peak = models.FloatField(null=True, blank=True)  # score
    peak_at = models.DateTimeField(null=True, blank=True)
    columns = ArrayField(models.IntegerField(), default=list)  # sensors that `shares` are of
    shares = ArrayField(models.FloatField(), default=list)  # how much each has added to the score of the peak
    expected = ArrayField(models.FloatField(null=True), default=list)  # at the peak
    measured = ArrayField(models.FloatField(null=True), default=list)

    class Meta:
        ordering = ["began_at", "pk"]
        indexes = [
            models.Index(fields=["detector", "-began_at"], name="finding_of_detector"),
            models.Index(fields=["sensor", "-began_at"], name="finding_of_sensor"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.began_at}"


class Comment(models.Model):
    """What somebody says of an incident, or a change of its state that somebody has made."""

    class Act(models.TextChoices):
        SAID = "said", _("said")
        STATE = "state", _("changed the state")
        ASSIGNED = "assigned", _("assigned it")

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    act = models.CharField(max_length=8, choices=Act, default=Act.SAID)
    text = models.TextField(max_length=4000, blank=True)  # of an act: the new state, or whom it was given to
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "pk"]

    def __str__(self) -> str:
        return self.text[:60]
