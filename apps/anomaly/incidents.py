"""Verbs on incidents: what people do with them, and how alarms become one."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import User
from apps.anomaly import noticing, telling, thresholds
from apps.anomaly.models import AlertRule, Asset, Comment, Delivery, Detector, Finding, Incident, Sensor, Severity
from apps.anomaly.permissions import workers_of

State = Incident.State
GRAVITY = {severity: place for place, severity in enumerate(Severity.values)}


# -- people ----------------------------------------------------------------------------------------


def acknowledge(*, incident: Incident, actor: User) -> bool:
    """Somebody looks after it. False when it is not open."""
    return _change(incident, State.ACKNOWLEDGED, actor, {State.OPEN})


def resolve(*, incident: Incident, actor: User) -> bool:
    """It was real, and is settled. Its detectors learn that."""
    return _change(incident, State.RESOLVED, actor, {State.OPEN, State.ACKNOWLEDGED, State.FALSE_ALARM})


def call_false(*, incident: Incident, actor: User) -> bool:
    """It was nothing. Its detectors learn that: their thresholds follow, unless somebody has set them."""
    return _change(incident, State.FALSE_ALARM, actor, {State.OPEN, State.ACKNOWLEDGED, State.RESOLVED})


def reopen(*, incident: Incident, actor: User) -> bool:
    return _change(incident, State.OPEN, actor, {State.ACKNOWLEDGED, State.RESOLVED, State.FALSE_ALARM})


@transaction.atomic
def assign(*, incident: Incident, to: User | None, actor: User) -> None:
    """Raises ValueError(`assignee: reason`) for somebody who may not work with the asset."""
    if to is not None and not workers_of(incident.asset).filter(pk=to.pk).exists():
        raise ValueError("assignee: may not work with this asset")
    if incident.assignee_id == (to.pk if to else None):
        return
    incident.assignee = to
    incident.save(update_fields=["assignee"])
    Comment.objects.create(incident=incident, author=actor, act=Comment.Act.ASSIGNED, text=to.label if to else "")
    noticing.of_assignment(incident, actor=actor)
    _say_changed(incident)


def comment(*, incident: Incident, author: User, text: str) -> Comment:
    """Raises ValueError(`text: reason`)."""
    text = text.strip()
    if not text or len(text) > 4000:
        raise ValueError("text: must have 1 to 4000 characters")
    made = Comment.objects.create(incident=incident, author=author, text=text)
    _say_changed(incident)
    return made


@transaction.atomic
def _change(incident: Incident, to: State, actor: User, from_: set[State]) -> bool:
    """A conditional update: of two who do the same one does it."""
    now = timezone.now()
    # Before the incident, as who stores scores does: so the two cannot wait for each other.
    mine = Detector.objects.filter(pk__in=incident.findings.values("detector"))
    list(mine.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    found = Incident.objects.filter(pk=incident.pk, state__in=from_)
    if not found.update(state=to, changed_by=actor, changed_at=now):
        return False
    before = incident.state
    incident.refresh_from_db()
    Comment.objects.create(incident=incident, author=actor, act=Comment.Act.STATE, text=to.value)
    if incident.is_settled:  # who was to hear of it later, by quiet hours, need not any more
        incident.deliveries.filter(state=Delivery.State.WAITING).update(state=Delivery.State.SILENCED)
    judged = {State.FALSE_ALARM, State.RESOLVED, State.ACKNOWLEDGED}
    if to in judged or before in judged:
        for detector in mine.select_related("fit", "asset"):
            thresholds.recalibrate(detector)
            _tell_detector(detector)
    _say_changed(incident)
    return True


def _tell_detector(detector: Detector) -> None:
    asset_id, number = detector.asset_id, detector.pk
    transaction.on_commit(lambda: telling.tell(asset_id, type="detector", detector=number))


def _say_changed(incident: Incident) -> None:
    say(incident, "changed")


# -- alarms ----------------------------------------------------------------------------------------


def raise_alarm(
    *, rule: AlertRule, kind: Finding.Kind, at: datetime, detector: Detector | None = None,
    sensor: Sensor | None = None,
) -> tuple[Incident, Finding, str]:  # fmt: skip
    """The incident that the alarm belongs to, its finding, and whether the incident was `opened`, is `graver` now, or
    was just `joined`. Within a transaction."""
    asset = Asset.objects.select_for_update(no_key=True).get(pk=rule.asset_id)
    incident = _near(asset, at)
    event = "joined"
    if incident is None:
        incident = Incident.objects.create(asset=asset, severity=rule.severity, began_at=at, last_at=at)
        event = "opened"
    elif GRAVITY[rule.severity] > GRAVITY[incident.severity]:
        incident.severity, event = rule.severity, "graver"
    incident.began_at, incident.last_at = min(incident.began_at, at), max(incident.last_at, at)
    incident.ended_at = None
    incident.save(update_fields=["severity", "began_at", "last_at", "ended_at"])
    live = Finding.objects.filter(incident=incident, kind=kind, detector=detector, sensor=sensor, ended_at=None)
    finding = live.first() or Finding.objects.create(
        incident=incident, kind=kind, detector=detector, sensor=sensor, began_at=at, last_at=at,
        threshold=detector.threshold if detector else None, columns=detector.columns if detector else [],
    )  # fmt: skip
    return incident, finding, event


def end_finding(*, finding: Finding, at: datetime) -> Incident | None:
    """The alarm is over; the incident, when it is over with that. Within a transaction."""
    incident = Incident.objects.select_for_update(no_key=True).get(pk=finding.incident_id)
    if not Finding.objects.filter(pk=finding.pk, ended_at=None).update(ended_at=at):
        return None
    incident.last_at = max(incident.last_at, finding.last_at)
    over = not incident.findings.filter(ended_at=None).exists()
    incident.ended_at = at if over else None
    incident.save(update_fields=["last_at", "ended_at"])
    return incident if over else None


def say(incident: Incident, event: str) -> None:
    """Who looks at the asset, once it is committed."""
    asset_id, data = incident.asset_id, {"incident": str(incident.pk), "state": incident.state, "event": event,
                                         "severity": incident.severity}  # fmt: skip
    transaction.on_commit(lambda: telling.tell(asset_id, type="incident", **data))


def _near(asset: Asset, at: datetime) -> Incident | None:
    """One that lasts, or was over shortly before, and that nobody has settled."""
    near = timedelta(seconds=asset.group_seconds)
    unsettled = Incident.objects.filter(
        asset=asset, state__in=[State.OPEN, State.ACKNOWLEDGED], began_at__lte=at + near
    )
    return unsettled.filter(Q(ended_at=None) | Q(last_at__gte=at - near)).order_by("-began_at").first()
