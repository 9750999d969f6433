"""Classifiers that people teach, their classes and examples, and what was learned of them, version by version."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from contracts.few_shot import REFINED


class Classifier(models.Model):
    """Its owner teaches it; whoever is in its team sees and asks it. `version` answers on its page, `published` whoever
    has a key and may see it."""

    class Reads(models.TextChoices):
        TEXTS = "texts", _("texts")
        PICTURES = "images", _("pictures")
        CLIPS = "clips", _("spoken clips")
        WINDOWS = "windows", _("sensor windows")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="classifiers")
    team = models.ForeignKey(
        "accounts.Team", null=True, blank=True, on_delete=models.SET_NULL, related_name="classifiers"
    )
    name = models.CharField(_("name"), max_length=80)
    reads = models.CharField(max_length=8, choices=Reads)
    deployment = models.CharField(max_length=80)  # of the model that it is taught with
    version = models.ForeignKey("Version", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    published = models.ForeignKey("Version", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    # The request that ranks what has no class yet, and of which examples.
    ranking = models.CharField(max_length=64, blank=True)
    ranked = models.JSONField(default=list)
    ranking_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now_add=True)  # when classes or examples last changed

    class Meta:
        ordering = ["name", "pk"]
        indexes = [
            models.Index(fields=["owner", "-created_at"], name="classifier_of_owner"),
            models.Index(fields=["ranking"], condition=~models.Q(ranking=""), name="classifier_of_request"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_refinable(self) -> bool:
        """Gradient steps can be taken on its examples."""
        return self.reads in REFINED

    @property
    def is_stale(self) -> bool:
        """What is taught has changed since the version that answers."""
        return self.version is not None and self.changed_at > self.version.created_at


class Label(models.Model):
    """A class; that word is taken in Python."""

    classifier = models.ForeignKey(Classifier, on_delete=models.CASCADE, related_name="labels")
    name = models.CharField(_("name"), max_length=60)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["classifier", "name"], name="label_once")]

    def __str__(self) -> str:
        return self.name


class Version(models.Model):
    """What was learned at one time: an adapter, some kilobytes that only the worker reads."""

    class State(models.TextChoices):
        TEACHING = "teaching", _("being taught")
        REFINING = "refining", _("being refined")
        READY = "ready", _("ready")
        NO_GAIN = "no-gain", _("no better than before")
        FAILED = "failed", _("failed")

    classifier = models.ForeignKey(Classifier, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State, default=State.TEACHING)
    request_id = models.CharField(max_length=64, blank=True)  # that teaches it
    # What refines it.
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    labels = models.JSONField()  # [[id, name]], in the order of the adapter's classes
    examples = models.JSONField()  # ids, in the order of the report's
    adapter = models.JSONField(null=True)  # contracts.few_shot.Adapter
    # contracts.few_shot.Report; of one that is no better what was tried: steps, before, right, judged
    report = models.JSONField(null=True)
    problem = models.CharField(max_length=400, blank=True)
    created_at = models.DateTimeField()  # when the examples were read
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["classifier", "number"], name="version_once")]
        indexes = [
            models.Index(fields=["request_id"], condition=models.Q(state="teaching"), name="version_of_request"),
        ]

    def __str__(self) -> str:
        return f"{self.classifier_id} v{self.number}"

    @property
    def names(self) -> list[str]:
        return [name for _id, name in self.labels]

    @property
    def taught_with(self) -> int:
        return len(self.examples)

    @property
    def seconds(self) -> float | None:
        """From asking to knowing."""
        return (self.ended_at - self.created_at).total_seconds() if self.ended_at else None


class Example(models.Model):
    """A text, a picture, a spoken clip, or a window of a sensor, which is kept as text (windows.py); without a label it
    waits for one. Of pictures a small copy is kept, of clips what models hear (contracts/clips.py), nothing else."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        READING = "reading", _("being read")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")

    classifier = models.ForeignKey(Classifier, on_delete=models.CASCADE, related_name="examples")
    label = models.ForeignKey(Label, null=True, blank=True, on_delete=models.CASCADE, related_name="examples")
    text = models.TextField(blank=True)
    name = models.CharField(max_length=200, blank=True)  # of the file
    file = models.FileField(upload_to="teach/incoming/", max_length=200, blank=True)  # until it has been read
    picture = models.CharField(max_length=200, blank=True)  # name in the storage
    clip = models.CharField(max_length=200, blank=True)  # likewise
    state = models.CharField(max_length=8, choices=State, default=State.READY)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=400, blank=True)
    # What the version that was last asked says of one without a label; none was asked yet.
    guess = models.CharField(max_length=60, blank=True)
    share = models.FloatField(null=True, blank=True)  # of the guess
    doubt = models.FloatField(null=True, blank=True)  # 0 to 1, 2 for none of these
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["classifier", "label"], name="example_of_label"),
            models.Index(fields=["id"], condition=models.Q(state__in=["waiting", "reading"]), name="example_to_read"),
        ]

    def __str__(self) -> str:
        return self.text[:60] or self.name

    @property
    def held_as(self) -> str:
        """Under what the bytes of its picture or clip are held."""
        return f"example:{self.pk}"

    @property
    def kept(self) -> str:
        """Name of its picture or clip in the storage."""
        return self.picture or self.clip
