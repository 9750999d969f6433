"""What is looked at every few seconds: sensors and detectors that stand still, work that was left behind, drift."""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from apps.anomaly import alarms, deliveries, incidents, scoring, telling, thresholds, uploads
from apps.anomaly.models import AlertRule, Detector, Finding, RuleState, Sensor
from contracts import names
from contracts.anomaly import FitReport

_BEHIND = timedelta(seconds=60)  # that a detector may be
_DRIFT_EVERY = timedelta(hours=1)
_LEAST_STEPS = 200
_MOST_RENEWED = 20  # in one look


def watch(now: datetime | None = None) -> None:
    now = now or timezone.now()
    uploads.sweep()
    scoring.sweep()
    rules = AlertRule.objects.filter(is_active=True).select_related("asset")
    for rule in rules.filter(on=AlertRule.On.STOPPED):
        _sensors(rule, now)
    for rule in rules.filter(on=AlertRule.On.DEAD):
        _detectors(rule, now)
    _end_what_nobody_keeps()
    if deliveries.sweep():
        telling.send(names.DELIVER_TASK)
    _renew(now)
    _drifts(now)


def _sensors(rule: AlertRule, now: datetime) -> None:
    """Those whose rate somebody has said; a file of old readings is no sign of life."""
    firing = set(RuleState.objects.filter(rule=rule).exclude(incident=None).values_list("sensor_id", flat=True))
    sensors = Sensor.objects.filter(asset=rule.asset_id).exclude(Q(interval=None) | Q(heard_at=None))
    for sensor in sensors.filter(pk=rule.sensor_id) if rule.sensor_id else sensors:
        due = sensor.overdue_since(now)
        if due is not None or sensor.pk in firing:
            with transaction.atomic():
                alarms.stands_still(rule, since=due, now=now, sensor=sensor)


def _detectors(rule: AlertRule, now: datetime) -> None:
    firing = set(RuleState.objects.filter(rule=rule).exclude(incident=None).values_list("detector_id", flat=True))
    silent = Q(answered_at=None) | Q(answered_at__lt=now - _BEHIND) | Q(pk__in=firing)
    found = Detector.objects.filter(silent, asset=rule.asset_id, state=Detector.State.WATCHING).exclude(fit=None)
    for detector in found.filter(pk=rule.detector_id) if rule.detector_id else found:
        since = dead_since(detector, now)
        if since is not None or detector.pk in firing:
            with transaction.atomic():
                alarms.stands_still(rule, since=since, now=now, detector=detector)


def dead_since(detector: Detector, now: datetime) -> datetime | None:
    """When it should have scored what it has not; None while it keeps up."""
    waiting = Sensor.objects.filter(pk__in=detector.columns, last_at__gt=detector.scored_to or detector.created_at)
    heard = [one.heard_at for one in waiting if one.heard_at]
    if not heard:
        return None
    answered = detector.answered_at or min(heard)
    due = max(answered, min(heard) if detector.answered_at is None else answered) + _BEHIND
    return due if due < now else None


@transaction.atomic
def _end_what_nobody_keeps() -> None:
    """Findings of a detector or sensor that was deleted meanwhile."""
    kept = RuleState.objects.exclude(incident=None).values("incident_id")
    for finding in Finding.objects.filter(ended_at=None).exclude(incident__in=kept):
        incidents.end_finding(finding=finding, at=finding.last_at)


def _renew(now: datetime) -> None:
    """Calibrations follow the last steps, so that the budget is kept while series drift."""
    is_due = Q(renews_at=None) | Q(renews_at__lte=now)
    due = Detector.objects.filter(is_due, state=Detector.State.WATCHING).exclude(fit=None)
    for number in due.order_by(F("renews_at").asc(nulls_first=True)).values_list("pk", flat=True)[:_MOST_RENEWED]:
        with transaction.atomic():
            mine = Detector.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
            detector = mine.select_related("fit").filter(is_due, pk=number).first()
            if detector is None:
                continue
            before = detector.threshold
            thresholds.recalibrate(detector, now)
        if detector.threshold != before:
            telling.tell(detector.asset_id, type="detector", detector=number)


def _drifts(now: datetime) -> None:
    """How the scores of the last day lie against those of the calibration: half of the normal ones are above its
    median."""
    old = Q(drift_at=None) | Q(drift_at__lt=now - _DRIFT_EVERY)
    for detector in Detector.objects.filter(old, state=Detector.State.WATCHING).exclude(fit=None).select_related("fit"):
        calibration = FitReport.from_dict(detector.fit.report).as_calibration()  # type: ignore[union-attr]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*), count(*) FILTER (WHERE value > %s) FROM anomaly_score "
                "WHERE detector_id = %s AND at > %s",
                [calibration.calm, detector.pk, max(now - timedelta(days=1), detector.watches_from or now)],
            )
            count, above = cursor.fetchone()
        share = above / count if count >= _LEAST_STEPS else None
        Detector.objects.filter(pk=detector.pk).update(drift=share, drift_at=now)
