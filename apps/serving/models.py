"""Deployments: under which name which versions of a model answer."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.registry.models import ModelVersion
from contracts.names import revision_key


class Deployment(models.Model):
    """A name that clients call. Its traffic is shared out over its revisions by their weights."""

    name = models.SlugField(_("name"), max_length=80, unique=True)
    is_paused = models.BooleanField(_("paused"), default=False)  # stays loaded, takes no requests
    max_waiting = models.PositiveIntegerField(_("longest queue"), default=128)
    # The guard takes a canary back by itself when it does worse than this; empty is no guard.
    guard_error_rate = models.FloatField(
        _("errors, at most"),
        null=True,
        blank=True,
        default=0.05,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
    )
    guard_p95_seconds = models.FloatField(
        _("95th percentile, at most (seconds)"), null=True, blank=True, validators=[MinValueValidator(0)]
    )
    guard_window = models.PositiveIntegerField(_("over (seconds)"), default=60)
    guard_min_requests = models.PositiveIntegerField(_("from this many requests"), default=20)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Revision(models.Model):
    """One version of a model with its settings, as it serves or served in a deployment."""

    class State(models.TextChoices):
        PENDING = "PENDING", _("pending")  # wanted, no worker has begun
        LOADING = "LOADING", _("loading")
        WARMING = "WARMING", _("warming")
        READY = "READY", _("ready")
        DRAINING = "DRAINING", _("draining")
        STOPPED = "STOPPED", _("stopped")
        FAILED = "FAILED", _("failed")

    class Provider(models.TextChoices):
        AUTO = "auto", _("chosen by the worker")
        CPU = "cpu", "CPU"
        CUDA = "cuda", "CUDA"
        TENSORRT = "tensorrt", "TensorRT"

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="revisions")
    context_length = models.PositiveIntegerField(_("context length"), default=2048)
    max_batch_size = models.PositiveIntegerField(_("largest batch"), default=16)
    provider = models.CharField(_("runs on"), max_length=10, choices=Provider, default=Provider.AUTO)
    fp16 = models.BooleanField(_("half precision"), default=False)
    replicas = models.PositiveIntegerField(_("workers"), default=1)
    weight = models.PositiveIntegerField(_("share of traffic"), default=0, validators=[MaxValueValidator(100)])
    is_wanted = models.BooleanField(default=True)  # should be loaded somewhere
    takes_over = models.BooleanField(default=False)  # gets all traffic as soon as it is READY
    generation = models.PositiveIntegerField(default=1)  # raised to try again
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    reason = models.TextField(blank=True)  # why it failed or waits
    state_since = models.DateTimeField(auto_now_add=True)
    memory_bytes = models.PositiveBigIntegerField(default=0)  # measured at the last load
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["deployment", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["deployment", "number"], name="serving_revision_number"),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def key(self) -> str:
        return revision_key(self.deployment.name, self.number)
