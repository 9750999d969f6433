"""Who is told of an incident, on which way and when. deliveries.py sends what is written down here."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.anomaly import incidents, telling
from apps.anomaly.models import AlertRule, Delivery, Incident, QuietHours, Silence
from apps.anomaly.permissions import viewers_of
from contracts import names

Channel, Event = Delivery.Channel, Delivery.Event


def tell_of(*, incident: Incident, rule: AlertRule, event: str) -> None:
    """One message to each address of the rule that has not heard of it, or not that it is so grave. In the transaction
    of the alarm: a crash leaves both or neither."""
    Delivery.objects.filter(incident=incident, event=Event.ENDED, state=Delivery.State.WAITING).delete()  # it is not
    incidents.say(incident, event)
    told = list(incident.deliveries.exclude(event=Event.ENDED).values_list("channel", "target", "severity"))
    is_silenced = silences_of(incident).exists()
    wait = quiet_until(incident, timezone.now())
    new = []
    for channel, target in _targets(rule):
        known = [incidents.GRAVITY[severity] for c, t, severity in told if (c, t) == (channel, target)]
        if known and max(known) >= incidents.GRAVITY[incident.severity]:
            continue
        row = Delivery(
            incident=incident, rule=rule, channel=channel, target=target, severity=incident.severity,
            event=Event.GRAVER if known else Event.OPENED, due_at=timezone.now(),
        )  # fmt: skip
        if is_silenced:
            row.state = Delivery.State.SILENCED
        elif channel != Channel.IN_APP and wait is not None:
            row.due_at = wait
        new.append(row)
    _store(new)


def tell_end(*, incident: Incident) -> None:
    """Whoever was told of it, where the rule says so; a little later, should it come back."""
    incidents.say(incident, "ended")
    due = timezone.now() + timedelta(seconds=incident.asset.group_seconds)
    told = incident.deliveries.filter(rule__tells_end=True).exclude(event=Event.ENDED)
    told = told.exclude(state=Delivery.State.SILENCED)
    wait = quiet_until(incident, timezone.now())
    ends = {}
    for row in told.select_related("rule"):
        due_at = max(due, wait) if wait is not None and row.channel != Channel.IN_APP else due
        ends[row.channel, row.target] = Delivery(
            incident=incident, rule=row.rule, channel=row.channel, target=row.target, event=Event.ENDED,
            severity=incident.severity, due_at=due_at,
        )  # fmt: skip
    _store(list(ends.values()))


def silences_of(incident: Incident, at: datetime | None = None) -> QuerySet[Silence]:
    """Those that keep it quiet at this moment: now, if none is said."""
    at = at or timezone.now()
    sensors = _sensors(incident)
    found = Silence.objects.filter(asset=incident.asset_id, begins_at__lte=at, ends_at__gt=at)
    return found.filter(Q(sensor=None) | Q(sensor__in=sensors), severity__in=at_least(incident.severity))


def at_least(severity: str) -> list[str]:
    """This severity and what is graver."""
    return [one for one, gravity in incidents.GRAVITY.items() if gravity >= incidents.GRAVITY[severity]]


def quiet_until(incident: Incident, now: datetime) -> datetime | None:
    """When the quiet hours of now are over; None outside of them, and for what is graver than they hold back."""
    rows = QuietHours.objects.filter(asset=incident.asset_id, severity__in=at_least(incident.severity))
    ends = [end for row in rows if (end := _end_of(row, now)) is not None]
    return max(ends, default=None)


def _end_of(row: QuietHours, now: datetime) -> datetime | None:
    """Of the quiet hours that began today or yesterday in their own time zone."""
    zone = ZoneInfo(row.time_zone)
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        if day.weekday() in row.days:
            begin = datetime.combine(day, row.begins, zone)
            last = day if row.ends > row.begins else day + timedelta(days=1)
            end = datetime.combine(last, row.ends, zone)
            if begin <= now < end:
                return end
    return None


def _targets(rule: AlertRule) -> list[tuple[Channel, str]]:
    people = [(Channel.IN_APP, str(pk)) for pk in viewers_of(rule.asset).values_list("pk", flat=True)]
    mails = [(Channel.EMAIL, address) for address in rule.emails]
    hooks = [(Channel.WEBHOOK, rule.webhook)] if rule.webhook else []
    return [*(people if rule.in_app else []), *mails, *hooks]


def _sensors(incident: Incident) -> set[int]:
    rows = incident.findings.values_list("sensor_id", "columns")
    return {one for sensor, columns in rows for one in (sensor, *columns) if one is not None}


def _store(rows: list[Delivery]) -> None:
    """What is there already is not told again."""
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    if rows:
        transaction.on_commit(lambda: telling.send(names.DELIVER_TASK))
