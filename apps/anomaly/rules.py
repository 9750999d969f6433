"""Verbs on rules, silences and quiet hours."""

import secrets
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.anomaly import deliveries, incidents, notifying, webhooks
from apps.anomaly.models import AlertRule, Asset, Finding, Incident, QuietHours, RuleState, Sensor, Severity, Silence
from apps.audit.services import record

_FIELDS = ("name", "on", "detector", "sensor", "severity", "for_seconds", "clear_ratio", "emails", "webhook", "in_app",
           "tells_end", "is_active")  # fmt: skip
_MOST_EMAILS = 20
_EXAMPLES = 20


@transaction.atomic
def create(*, asset: Asset, actor: User | None = None, address: str | None = None, **values: Any) -> AlertRule:
    """Raises ValueError(`field: reason`). Writes the audit log: a rule sends what is known here elsewhere."""
    rule = _checked(AlertRule(asset=asset, secret=_secret()), values)
    rule.save()
    record(action="rule.create", target=rule, actor=actor, address=address, asset=str(asset))
    return rule


@transaction.atomic
def change(*, rule: AlertRule, actor: User | None = None, address: str | None = None, **values: Any) -> AlertRule:
    """Raises ValueError(`field: reason`). Writes the audit log."""
    rule = _checked(rule, values)
    rule.save()
    if not rule.is_active:
        _let_go(rule)
    record(action="rule.change", target=rule, actor=actor, address=address, asset=str(rule.asset))
    return rule


@transaction.atomic
def delete(*, rule: AlertRule, actor: User | None, address: str | None = None) -> None:
    """What it has found stays and is over. Writes the audit log."""
    record(action="rule.delete", target=rule, actor=actor, address=address, asset=str(rule.asset))
    _let_go(rule)
    rule.delete()


def new_secret(*, rule: AlertRule) -> str:
    """Of the webhook; the old one signs nothing any more."""
    rule.secret = _secret()
    rule.save(update_fields=["secret"])
    return rule.secret


def test(*, rule: AlertRule, actor: User | None) -> int:
    """Call the webhook with an example; what it answers. Raises ValueError(`webhook: reason`). Writes the audit log."""
    record(action="rule.test", target=rule, actor=actor, asset=str(rule.asset))
    if not rule.webhook:
        raise ValueError("webhook: there is none")
    try:
        return deliveries.test_webhook(rule=rule)
    except webhooks.NotDelivered as error:
        raise ValueError(f"webhook: {error}") from error


def silence(
    *, asset: Asset, begins_at: datetime, ends_at: datetime, actor: User | None, sensor: Sensor | None = None,
    severity: str = Severity.CRITICAL, reason: str = "",
) -> Silence:  # fmt: skip
    """Nobody is told of what is found meanwhile. Raises ValueError(`field: reason`)."""
    _check_sensor(asset, sensor)
    _check_severity(severity)
    if ends_at <= begins_at:
        raise ValueError("ends_at: is not behind the begin")
    if ends_at - begins_at > timedelta(days=366):
        raise ValueError("ends_at: a silence lasts a year at most")
    return Silence.objects.create(
        asset=asset, sensor=sensor, severity=severity, begins_at=begins_at, ends_at=ends_at, reason=reason[:200],
        created_by=actor,
    )  # fmt: skip


def end_silence(*, silence: Silence) -> None:
    """Now; one that has not begun is gone."""
    now = timezone.now()
    if silence.begins_at >= now:
        silence.delete()
    elif silence.ends_at > now:
        silence.ends_at = now
        silence.save(update_fields=["ends_at"])


@transaction.atomic
def set_quiet_hours(*, asset: Asset, rows: Sequence[dict[str, Any]]) -> list[QuietHours]:
    """In place of those that it had: {days, begins, ends, time_zone, severity}. Raises ValueError(`field: reason`)."""
    asset.quiet_hours.all().delete()
    return [_quiet(asset, row) for row in rows]


def preview(
    *, asset: Asset, days: int, sensor: Sensor | None = None, severity: str = Severity.CRITICAL,
    hours: tuple[float, float] | None = None,
) -> tuple[int, list[Incident]]:  # fmt: skip
    """How many incidents there were in the last days, and those that such a silence would have kept quiet. `hours` are
    seconds of the day in UTC from which to which it holds; none is all day."""
    _check_sensor(asset, sensor)
    _check_severity(severity)
    since = timezone.now() - timedelta(days=days)
    rows = asset.incidents.filter(began_at__gte=since).select_related("asset", "assignee")
    found = list(rows.prefetch_related("findings__detector").order_by("-began_at"))
    quiet = [one for one in found if _would_be_quiet(one, sensor, severity, hours)]
    return len(found), quiet


def _would_be_quiet(
    incident: Incident, sensor: Sensor | None, severity: str, hours: tuple[float, float] | None
) -> bool:
    if severity not in notifying.at_least(incident.severity):
        return False
    touched = {n for one in incident.findings.all() for n in (one.sensor_id, *one.columns)}
    if sensor is not None and sensor.pk not in touched:
        return False
    if hours is None:
        return True
    begin, end = hours
    of_day = incident.began_at.timestamp() % 86_400
    return begin <= of_day < end if begin <= end else of_day >= begin or of_day < end


def _quiet(asset: Asset, row: dict[str, Any]) -> QuietHours:
    days, severity = row.get("days") or [], row.get("severity", Severity.WARNING)
    if not days or not all(isinstance(day, int) and 0 <= day <= 6 for day in days):
        raise ValueError("days: are 0 (Monday) to 6")
    _check_severity(severity)
    begins, ends = row.get("begins"), row.get("ends")
    if not isinstance(begins, time) or not isinstance(ends, time) or begins == ends:
        raise ValueError("begins: quiet hours begin and end at different times")
    zone = row.get("time_zone") or "UTC"
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError("time_zone: is none") from None
    return QuietHours.objects.create(
        asset=asset, days=sorted(set(days)), begins=begins, ends=ends, time_zone=zone, severity=severity
    )


def _checked(rule: AlertRule, values: dict[str, Any]) -> AlertRule:
    for name in _FIELDS:
        if name in values:
            setattr(rule, name, values[name])
    try:
        rule.clean_fields(exclude=["asset"])
    except ValidationError as error:
        field, reasons = next(iter(error.message_dict.items()))
        raise ValueError(f"{field}: {reasons[0]}") from error
    if len(rule.emails) > _MOST_EMAILS:
        raise ValueError(f"emails: are {_MOST_EMAILS} at most")
    if rule.detector is not None and rule.detector.asset_id != rule.asset_id:
        raise ValueError("detector: is none of this asset")
    _check_sensor(rule.asset, rule.sensor)
    if rule.webhook and values.get("webhook"):
        webhooks.check(rule.webhook)
    return rule


def _let_go(rule: AlertRule) -> None:
    """Alarms that only this rule keeps up are over."""
    for state in RuleState.objects.filter(rule=rule).exclude(incident=None):
        others = RuleState.objects.filter(
            incident=state.incident_id, detector=state.detector_id, sensor=state.sensor_id
        )
        if not others.exclude(pk=state.pk).exists():
            live = Finding.objects.filter(incident=state.incident_id, ended_at=None)
            for finding in live.filter(detector=state.detector_id, sensor=state.sensor_id):
                incidents.end_finding(finding=finding, at=finding.last_at)
    RuleState.objects.filter(rule=rule).delete()


def _check_sensor(asset: Asset, sensor: Sensor | None) -> None:
    if sensor is not None and sensor.asset_id != asset.pk:
        raise ValueError("sensor: is none of this asset")


def _check_severity(severity: str) -> None:
    if severity not in Severity.values:
        raise ValueError(f"severity: is one of {', '.join(Severity.values)}")


def _secret() -> str:
    return "whsec_" + secrets.token_urlsafe(32)
