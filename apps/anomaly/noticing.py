"""What people find in their notices when they come back: incidents, what was given to them, versions of detectors."""

from django.urls import reverse
from django.utils.translation import gettext_noop

from apps.accounts.models import User
from apps.anomaly import presenting
from apps.anomaly.models import Delivery, Detector, Fit, Incident, Severity
from apps.anomaly.permissions import visible_assets, visible_incidents
from apps.anomaly.queries import sensor_names
from apps.notices.models import Kind, Level
from apps.notices.permissions import known, shown_when
from apps.notices.services import in_each_language, notify

_LEVELS = {Severity.INFO: Level.INFO, Severity.WARNING: Level.WARNING, Severity.CRITICAL: Level.ERROR}
_TURNS = {
    Delivery.Event.OPENED: gettext_noop("{asset}: {title}"),
    Delivery.Event.GRAVER: gettext_noop("{asset}, graver than before: {title}"),
    Delivery.Event.ENDED: gettext_noop("Over: {asset}, {title}"),
}


@shown_when(Kind.INCIDENT, Kind.ASSIGNED)
def _incidents(user: User, subjects: set[str]) -> set[str]:
    return known(visible_incidents(user), subjects)


@shown_when(Kind.DETECTOR)
def _detectors(user: User, subjects: set[str]) -> set[str]:
    return known(Detector.objects.filter(asset__in=visible_assets(user)), subjects)


def of_delivery(row: Delivery) -> None:
    """A rule wants it told in the application."""
    is_over = row.event == Delivery.Event.ENDED
    _of_incident(
        row.incident, int(row.target), Kind.INCIDENT, _TURNS[Delivery.Event(row.event)],
        Level.INFO if is_over else _LEVELS[Severity(row.severity)],
    )  # fmt: skip


def of_assignment(incident: Incident, *, actor: User) -> None:
    """Whom it was given to, but by themselves."""
    if incident.assignee is None or incident.assignee == actor:
        return
    _of_incident(
        incident, incident.assignee.pk, Kind.ASSIGNED, gettext_noop("{who} gave you an incident: {asset}, {title}"),
        Level.WARNING, who=actor.label,
    )  # fmt: skip


def of_fit(fit: Fit) -> None:
    """Who asked for the version, once it is ready or has failed."""
    if fit.created_by_id is None:
        return
    failed = fit.state == Fit.State.FAILED
    ready = gettext_noop("{asset}: version {number} of the detector {name} is ready.")
    problem = gettext_noop("{asset}: version {number} of the detector {name} failed: {reason}")
    notify(
        to=[fit.created_by_id], kind=Kind.DETECTOR, subject=fit.detector_id, message=problem if failed else ready,
        level=Level.ERROR if failed else Level.INFO, link=reverse("anomaly:detectors", args=[fit.detector.asset_id]),
        values={"asset": fit.detector.asset.name, "name": fit.detector.name, "number": fit.number,
                "reason": fit.problem},
    )  # fmt: skip


def _of_incident(incident: Incident, reader: int, kind: Kind, message: str, level: Level, **more: str) -> None:
    findings, names = list(incident.findings.all()), sensor_names(incident.asset_id)
    title = in_each_language(lambda: presenting.title(findings, names))
    notify(
        to=[reader], kind=kind, subject=incident.pk, message=message, level=level, link=presenting.address(incident),
        values={"asset": incident.asset.name, "title": title, **more},
    )  # fmt: skip
