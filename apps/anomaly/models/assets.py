"""What is watched: assets and their sensors; the files and the simulator that readings come from."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

MOST_DAYS = 36_500  # that readings are kept
MISSED = 3  # readings that a sensor may leave out before it has stopped
LIVE = timedelta(minutes=10)  # what comes later than that behind its time is history


class Asset(models.Model):
    """A machine, a line, a site: sensors that are looked at together. Its owner and the administrators of its team
    change it, members of its team work with it, its viewers look."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assets")
    team = models.ForeignKey("accounts.Team", null=True, blank=True, on_delete=models.SET_NULL, related_name="assets")
    # With which it was made, if it was: its limits hold, and its team pays.
    key = models.ForeignKey("accounts.APIKey", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(_("name"), max_length=80)
    about = models.TextField(_("about it"), max_length=4000, blank=True)
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    # Alarms within so many seconds of each other are one incident.
    group_seconds = models.PositiveIntegerField(_("seconds between two incidents"), default=300)
    stored = models.PositiveBigIntegerField(default=0)  # readings, of all its sensors
    # Blocks of storage that are held for them have the numbers from `given_back` to before `blocks` (room.py).
    blocks = models.PositiveIntegerField(default=0)
    given_back = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        indexes = [models.Index(fields=["owner", "-created_at"], name="asset_of_owner")]

    def __str__(self) -> str:
        return self.name


class Sensor(models.Model):
    """One series of numbers. Other systems call it by its key; the number that rows of readings carry is small."""

    id = models.AutoField(primary_key=True)
    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="sensors")
    key = models.SlugField(_("key"), max_length=80)
    name = models.CharField(_("name"), max_length=80)
    unit = models.CharField(_("unit"), max_length=20, blank=True)
    interval = models.FloatField(
        _("seconds between readings"), null=True, blank=True,
        validators=[MinValueValidator(0.001), MaxValueValidator(31_536_000)],
    )  # fmt: skip
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    keep_days = models.PositiveIntegerField(
        _("days that readings are kept"), null=True, blank=True, default=365,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS)],
    )  # fmt: skip
    position = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(null=True, blank=True)  # of the newest reading
    last_value = models.FloatField(null=True, blank=True)
    heard_at = models.DateTimeField(null=True, blank=True)  # when something of it came, by our clock
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [models.UniqueConstraint(fields=["asset", "key"], name="sensor_key_once")]

    def __str__(self) -> str:
        return self.name

    def overdue_since(self, now: datetime) -> datetime | None:
        """When its next reading should have come; None while it speaks, and for one that has never spoken in time: a
        file of old readings is no sign of life."""
        if self.interval is None or self.heard_at is None or self.last_at is None:
            return None
        patience = timedelta(seconds=MISSED * self.interval)
        if self.heard_at - self.last_at > max(LIVE, 2 * patience):
            return None
        due = self.heard_at + patience
        return due if due < now else None


class Upload(models.Model):
    """A file of readings: first looked at, then read with the columns that somebody has confirmed."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting to be looked at")
        READY = "ready", _("waiting for its columns")
        READING = "reading", _("being read")
        DONE = "done", _("read")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="uploads")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200)
    file = models.FileField(upload_to="anomaly/incoming/", max_length=200, blank=True)  # until it has been read
    bytes = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    found = models.JSONField(default=dict)  # what was seen of it (tables.py: Look)
    mapping = models.JSONField(default=dict)  # what is to be read of it (tables.py: Mapping)
    position = models.PositiveBigIntegerField(default=0)  # rows that have been taken in
    stored = models.PositiveBigIntegerField(default=0)  # readings
    known = models.PositiveBigIntegerField(default=0)  # readings that were there already
    failed = models.PositiveBigIntegerField(default=0)  # cells that are no reading
    problems = models.JSONField(default=list)  # the first hundred of these: [row, column, reason]
    error = models.CharField(max_length=400, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["asset", "-created_at"], name="readings_upload_of_asset")]

    def __str__(self) -> str:
        return self.name


class Plant(models.Model):
    """The simulator behind an asset: it goes on where it has written to, with the faults that somebody has put in."""

    asset = models.OneToOneField(Asset, on_delete=models.CASCADE, related_name="plant")
    is_running = models.BooleanField(default=True)
    written_to = models.DateTimeField()
    faults = models.JSONField(default=list)  # [{kind, sensor, begin, end, size}], times in seconds since the epoch

    def __str__(self) -> str:
        return f"{self.asset_id} to {self.written_to}"


class Layout(models.Model):
    """How somebody has arranged the dashboard of an asset. What is in it is the page's matter."""

    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="layouts")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    content = models.JSONField(default=dict)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["asset", "user"], name="one_layout_each")]

    def __str__(self) -> str:
        return f"{self.asset_id} of {self.user_id}"
