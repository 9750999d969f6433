"""What watches sensors: a detector, and the fits that it can serve with."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.anomaly.models.assets import Asset, Sensor
from contracts.anomaly import Detector as Kind
from contracts.anomaly import Per

KINDS = {
    Kind.AUTO: _("the best of a backtest"),
    Kind.V4: _("DC-CPC (V4)"),
    Kind.PCA: _("principal components"),
    Kind.SUBSEQUENCE_PCA: _("principal components of stretches"),
    Kind.ISOLATION_FOREST: _("isolation forest"),
    Kind.SPECTRAL_RESIDUAL: _("spectral residual"),
    Kind.MATRIX_PROFILE: _("matrix profile"),
    Kind.SEASONAL: _("distance from the season"),
    Kind.RARITY: _("rarity against all before"),
}


class Detector(models.Model):
    """Watches one sensor, or several of an asset together. It serves with one of its fits, at its own threshold."""

    class State(models.TextChoices):
        NEW = "new", _("not fitted yet")
        WATCHING = "watching", _("watching")
        PAUSED = "paused", _("paused")

    id = models.AutoField(primary_key=True)
    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="detectors")
    sensors: "models.ManyToManyField[Sensor, models.Model]" = models.ManyToManyField(Sensor, related_name="detectors")
    # In the order of the columns that it was fitted on.
    columns = ArrayField(models.IntegerField(), default=list)
    name = models.CharField(_("name"), max_length=80)
    state = models.CharField(max_length=8, choices=State, default=State.NEW)
    fit = models.ForeignKey("Fit", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    threshold = models.FloatField(null=True, blank=True)
    budget = models.FloatField(_("false alarms I accept"), default=1.0)
    per = models.CharField(max_length=4, choices=[(one.value, one.value) for one in Per], default=Per.DAY.value)
    calibration = models.JSONField(default=dict)  # contracts.conformal.Calibration, with what was learned since the fit
    renews_at = models.DateTimeField(null=True, blank=True)  # when the calibration is made anew from the last steps
    is_by_hand = models.BooleanField(default=False)  # somebody has chosen the threshold: feedback leaves it alone
    watches_from = models.DateTimeField(null=True, blank=True)  # alarms are of steps behind this
    spread = ArrayField(models.FloatField(), null=True, blank=True)  # half of the band's width, a value for each column
    scored_to = models.DateTimeField(null=True, blank=True)  # time of the newest reading that was scored
    answered_at = models.DateTimeField(null=True, blank=True)  # by our clock
    request_id = models.CharField(max_length=64, blank=True)  # that is under way
    place = models.PositiveSmallIntegerField(default=0)  # among the items of that
    sent_at = models.DateTimeField(null=True, blank=True)
    sent_to = models.DateTimeField(null=True, blank=True)  # `scored_to` once that has been answered
    late_from = models.DateTimeField(null=True, blank=True)  # earliest reading that came behind `scored_to`
    again_to = models.DateTimeField(null=True, blank=True)  # steps up to here have been scored before
    problem = models.CharField(max_length=400, blank=True)  # why it does not score
    drift = models.FloatField(null=True, blank=True)  # rate of steps above the calibration's median lately; 0.5 is none
    drift_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "pk"]
        indexes = [
            models.Index(fields=["asset", "state"], name="detector_of_asset"),
            models.Index(fields=["request_id"], condition=~models.Q(request_id=""), name="detector_of_request"),
        ]

    def __str__(self) -> str:
        return self.name


class Fit(models.Model):
    """One version of a detector: what it was fitted on, how it did, and where it lies."""

    class State(models.TextChoices):
        PREPARING = "preparing", _("collecting readings")
        FITTING = "fitting", _("fitting")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")

    detector = models.ForeignKey(Detector, on_delete=models.CASCADE, related_name="fits")
    number = models.PositiveIntegerField()
    asked = models.CharField(max_length=20, choices=[(one.value, KINDS[one]) for one in Kind], default=Kind.AUTO.value)
    kind = models.CharField(max_length=20, blank=True)  # what it became
    begin = models.DateTimeField()  # of the history
    end = models.DateTimeField()
    columns = ArrayField(models.IntegerField(), default=list)
    state = models.CharField(max_length=9, choices=State, default=State.PREPARING)
    problem = models.CharField(max_length=400, blank=True)
    job = models.ForeignKey("jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    serves_at_once = models.BooleanField(default=True)  # when it is ready
    artifact = models.CharField(max_length=400, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    report = models.JSONField(default=dict)  # contracts.anomaly.FitReport
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["detector", "number"], name="one_fit_each")]

    def __str__(self) -> str:
        return f"{self.detector_id} v{self.number}"

    @property
    def is_over(self) -> bool:
        return self.state in {self.State.READY, self.State.FAILED}
