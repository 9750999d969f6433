"""Things of an asset as JSON (docs/anomaly.md): times are seconds since the epoch."""

from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.anomaly.models import Comment, Detector, Finding, Fit, Incident, Plant, Sensor, Upload
from apps.anomaly.points import seconds
from apps.jobs import streams
from apps.serving.sentences import translated

DRIFTED = 0.75  # of the latest steps above what half of the normal ones are above


def at(moment: datetime | None) -> float | None:
    return None if moment is None else seconds(moment)


def upload(row: Upload) -> dict[str, Any]:
    return {
        "id": str(row.pk), "name": row.name, "state": row.state, "error": translated(row.error), "rows": row.position,
        "total": row.found.get("count"), "stored": row.stored, "known": row.known, "failed": row.failed,
        "problems": [[number, column, translated(reason)] for number, column, reason in row.problems],
        "look": _look(row.found) if row.found else None, "mapping": row.mapping,
    }  # fmt: skip


def _look(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "problems": [translated(one) for one in found["problems"]]}


def detector(row: Detector) -> dict[str, Any]:
    """`row` with its fit."""
    return {
        "id": row.pk, "name": row.name, "asset": str(row.asset_id), "sensors": row.columns, "state": row.state,
        "fit": fit(row.fit, row) if row.fit else None, "threshold": row.threshold, "budget": row.budget, "per": row.per,
        "is_by_hand": row.is_by_hand, "scored_to": at(row.scored_to), "problem": translated(row.problem),
        "drift": row.drift, "is_drifting": row.drift is not None and row.drift > DRIFTED,
    }  # fmt: skip


def fit(row: Fit, of: Detector | None = None) -> dict[str, Any]:
    """With how far its job is while it has one."""
    serving = (of or row.detector).fit_id
    state = streams.record(str(row.job_id)) if row.job_id and not row.is_over else None
    progress = state.progress if state else {}
    return {
        "id": row.pk, "number": row.number, "asked": row.asked, "kind": row.kind, "state": row.state,
        "problem": translated(row.problem), "stage": translated(str(progress.get("stage", ""))),
        "fraction": float(progress.get("fraction", 1.0 if row.is_over else 0.0)), "begin": at(row.begin),
        "end": at(row.end), "is_serving": serving == row.pk,
        "report": {name: value for name, value in row.report.items() if name != "calibration"},
    }  # fmt: skip


def span(row: Incident) -> dict[str, Any]:
    """`row` with its findings prefetched."""
    findings = list(row.findings.all())
    return {
        "id": str(row.pk), "begin": at(row.began_at), "end": at(row.ended_at), "state": row.state,
        "severity": row.severity, "peak": row.peak, "sensors": sorted(_sensor_ids(findings)),
        "detectors": sorted({one.detector_id for one in findings if one.detector_id}),
    }  # fmt: skip


def incident(row: Incident, names: dict[int, str]) -> dict[str, Any]:
    """`row` with asset, assignee and findings; `names` of sensors by id."""
    findings = list(row.findings.all())
    ids = sorted(_sensor_ids(findings))
    return {
        "id": str(row.pk), "asset": str(row.asset_id), "asset_name": row.asset.name, "state": row.state,
        "severity": row.severity, "began_at": at(row.began_at), "last_at": at(row.last_at),
        "ended_at": at(row.ended_at), "peak": row.peak, "title": title(findings, names),
        "assignee": {"id": row.assignee.pk, "label": row.assignee.label} if row.assignee else None,
        "sensors": [{"id": one, "name": names.get(one, "")} for one in ids],
        "address": address(row),
    }  # fmt: skip


def incident_with_all(row: Incident, names: dict[int, str]) -> dict[str, Any]:
    """`row` with its comments and their authors as well."""
    findings = [_finding(one, names) for one in row.findings.all()]
    return {**incident(row, names), "findings": findings, "comments": [_comment(one) for one in row.comments.all()]}


def address(row: Incident) -> str:
    return reverse("anomaly:incident", args=[row.pk])


def title(findings: list[Finding], names: dict[int, str]) -> str:
    """What an incident is about, in a few words."""
    if not findings:
        return str(_("Incident"))
    first = findings[0]
    what = str(Finding.Kind(first.kind).label)
    where = ", ".join(names.get(one, "") for one in _most_guilty(first)) or (
        first.detector.name if first.detector else ""
    )
    more = len({one.detector_id or one.sensor_id for one in findings}) - 1
    said = f"{what}: {where}" if where else what
    return str(_("%(said)s and %(n)s more") % {"said": said, "n": more}) if more > 0 else said


def _most_guilty(finding: Finding) -> list[int]:
    """The sensors that have added most to the score, two at most."""
    if finding.sensor_id:
        return [finding.sensor_id]
    if finding.shares:
        order = sorted(zip(finding.shares, finding.columns, strict=True), reverse=True)
        return [number for share, number in order[:2] if share >= 0.25] or [order[0][1]]
    return finding.columns if len(finding.columns) == 1 else []


def _sensor_ids(findings: list[Finding]) -> set[int]:
    return {one.sensor_id for one in findings if one.sensor_id} | {n for one in findings for n in one.columns}


def _finding(row: Finding, names: dict[int, str]) -> dict[str, Any]:
    places = range(len(row.columns))
    shares = [
        {
            "sensor": row.columns[n], "name": names.get(row.columns[n], ""), "share": _nth(row.shares, n),
            "measured": _nth(row.measured, n), "expected": _nth(row.expected, n),
        }
        for n in places
    ]  # fmt: skip
    return {
        "kind": row.kind, "detector": row.detector_id, "sensor": row.sensor_id, "began_at": at(row.began_at),
        "last_at": at(row.last_at), "ended_at": at(row.ended_at), "threshold": row.threshold, "peak": row.peak,
        "peak_at": at(row.peak_at), "shares": sorted(shares, key=lambda one: -(one["share"] or 0)),
    }  # fmt: skip


def _comment(row: Comment) -> dict[str, Any]:
    return {"author": row.author.label if row.author else "", "act": row.act, "text": row.text,
            "created_at": at(row.created_at)}  # fmt: skip


def faults(plant: Plant) -> dict[str, Any]:
    return {"faults": plant.faults}


def sensor_head(row: Sensor) -> dict[str, Any]:
    return {"id": row.pk, "key": row.key, "name": row.name, "unit": row.unit, "interval": row.interval}


def _nth(values: list[Any], place: int) -> Any:
    return values[place] if place < len(values) else None
