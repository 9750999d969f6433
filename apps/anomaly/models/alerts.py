"""Who is told of what, when not, and what was told."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.anomaly.models.assets import Asset, Sensor
from apps.anomaly.models.detectors import Detector


class Severity(models.TextChoices):
    INFO = "info", _("information")
    WARNING = "warning", _("warning")
    CRITICAL = "critical", _("critical")


class AlertRule(models.Model):
    """What makes an incident, and who hears of it. Without a detector or sensors it is about all of the asset."""

    class On(models.TextChoices):
        SCORE = "score", _("a detector's score is above its threshold")
        STOPPED = "stopped", _("a sensor has stopped")
        DEAD = "dead", _("a detector has stopped")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="rules")
    name = models.CharField(_("name"), max_length=80)
    on = models.CharField(_("when"), max_length=7, choices=On, default=On.SCORE)
    detector = models.ForeignKey(Detector, null=True, blank=True, on_delete=models.CASCADE, related_name="rules")
    sensor = models.ForeignKey(Sensor, null=True, blank=True, on_delete=models.CASCADE, related_name="rules")
    severity = models.CharField(_("severity"), max_length=8, choices=Severity, default=Severity.WARNING)
    for_seconds = models.PositiveIntegerField(
        _("for at least (seconds)"), default=0, validators=[MaxValueValidator(604_800)]
    )
    # Of the threshold. An alarm is over when the score is below this share of it.
    clear_ratio = models.FloatField(
        _("over when below (share of the threshold)"), default=0.8,
        validators=[MinValueValidator(0.1), MaxValueValidator(1)],
    )  # fmt: skip
    emails = ArrayField(models.EmailField(), default=list, blank=True)
    webhook = models.URLField(_("webhook"), max_length=500, blank=True)
    secret = models.CharField(max_length=64, blank=True)  # that calls of the webhook are signed with
    in_app = models.BooleanField(_("tell everybody who sees the asset"), default=True)
    tells_end = models.BooleanField(_("also tell when it is over"), default=True)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name


class RuleState(models.Model):
    """How far a rule is with one thing that it is about: nothing, waiting for its duration, or an alarm."""

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="states")
    detector = models.ForeignKey(Detector, null=True, on_delete=models.CASCADE, related_name="+")
    sensor = models.ForeignKey(Sensor, null=True, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField(null=True)  # the condition has held
    incident = models.ForeignKey("Incident", null=True, on_delete=models.SET_NULL, related_name="+")  # while it fires

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "detector", "sensor"], name="one_rule_state_each", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.detector_id or self.sensor_id}"


class Silence(models.Model):
    """Incidents of an asset, or of one of its sensors, that nobody is told of for a time. They are kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="silences")
    sensor = models.ForeignKey(Sensor, null=True, blank=True, on_delete=models.CASCADE, related_name="silences")
    # Up to this severity; what is graver is told.
    severity = models.CharField(_("up to"), max_length=8, choices=Severity, default=Severity.CRITICAL)
    begins_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("to"))
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-ends_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("begins_at")), name="silence_has_a_length")
        ]

    def __str__(self) -> str:
        return f"{self.asset_id} {self.begins_at} to {self.ends_at}"


class QuietHours(models.Model):
    """Every week again: what is not critical waits until they are over."""

    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="quiet_hours")
    days = ArrayField(models.PositiveSmallIntegerField())  # 0 is Monday: on which they begin
    begins = models.TimeField(_("from"))
    ends = models.TimeField(_("to"))  # on the next day when it is not later
    time_zone = models.CharField(_("time zone"), max_length=60, default="UTC")
    severity = models.CharField(_("up to"), max_length=8, choices=Severity, default=Severity.WARNING)

    class Meta:
        ordering = ["begins", "pk"]
        verbose_name_plural = "quiet hours"

    def __str__(self) -> str:
        return f"{self.asset_id} {self.begins} to {self.ends}"


class Delivery(models.Model):
    """One message to one address about one turn of an incident. There is one row for each, so it is sent once."""

    class Channel(models.TextChoices):
        IN_APP = "in_app", _("in the application")
        EMAIL = "email", _("e-mail")
        WEBHOOK = "webhook", _("webhook")

    class Event(models.TextChoices):
        OPENED = "opened", _("opened")
        GRAVER = "graver", _("graver than before")
        ENDED = "ended", _("over")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")
        SILENCED = "silenced", _("silenced")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    incident = models.ForeignKey("Incident", on_delete=models.CASCADE, related_name="deliveries")
    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="deliveries")
    event = models.CharField(max_length=6, choices=Event)
    severity = models.CharField(max_length=8, choices=Severity)
    channel = models.CharField(max_length=7, choices=Channel)
    target = models.CharField(max_length=500)  # address, URL, or the number of a person
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()  # not before
    claimed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True)  # what a webhook has answered
    error = models.CharField(max_length=400, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)  # in the application
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["incident", "event", "severity", "channel", "target"], name="one_delivery_each"
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(state="waiting"), name="delivery_due"),
            models.Index(fields=["claimed_at"], condition=models.Q(state="sending"), name="delivery_claimed"),
            models.Index(
                fields=["target", "-created_at"], condition=models.Q(channel="in_app", read_at=None),
                name="delivery_unread",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.channel} {self.target}"
