"""Incidents of assets: read, judge, assign, comment."""

from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope, User
from apps.anomaly import incidents, presenting, queries
from apps.anomaly.models import Incident
from apps.anomaly.permissions import visible_incident, visible_incidents, worked_incident, workers_of
from apps.api.auth import KeyAuth
from apps.api.errors import conflict
from apps.api.native.bodies import Body
from apps.api.native.paging import Page, Paging, slice_of
from apps.api.native.running import in_thread, owner_of
from apps.api.site import also

router = Router(auth=KeyAuth(Scope.ANOMALY), tags=["Incidents"])
State = Literal["open", "acknowledged", "resolved", "false_alarm"]
_ACTS = {"acknowledged": incidents.acknowledge, "resolved": incidents.resolve, "false_alarm": incidents.call_false,
         "open": incidents.reopen}  # fmt: skip


class IncidentFilter(Paging):
    asset: UUID | None = None
    state: State | None = None


class AssigneeOut(Schema):
    id: int
    label: str


class SensorNamed(Schema):
    id: int
    name: str


class IncidentOut(Schema):
    id: UUID
    asset: UUID
    asset_name: str
    state: State
    severity: Literal["info", "warning", "critical"]
    began_at: float = Field(description="Seconds since the epoch, as all times here.")
    last_at: float
    ended_at: float | None = Field(description="null while it lasts.")
    peak: float | None = Field(description="Highest score, as a multiple of the threshold.")
    title: str
    assignee: AssigneeOut | None
    sensors: list[SensorNamed]


class IncidentDetail(IncidentOut):
    findings: list[dict[str, Any]] = Field(description="Alarms, each with what every sensor has added.")
    comments: list[dict[str, Any]]


class IncidentChange(Body):
    state: State


class AssigneeIn(Body):
    assignee: int | None = Field(ge=1, lt=2**31, description="Id of a person; null is nobody.")


class CommentIn(Body):
    text: str = Field(min_length=1, max_length=4000)


def _detail(user: User, incident_id: UUID) -> IncidentDetail:
    row = queries.with_comments(visible_incidents(user)).get(pk=incident_id)
    return IncidentDetail(**presenting.incident_with_all(row, queries.sensor_names(row.asset_id)))


@router.get("/anomaly/incidents", response=Page[IncidentOut], summary="List incidents")
@in_thread
def list_incidents(request: HttpRequest, asked: Query[IncidentFilter]) -> dict[str, Any]:
    """Of all assets that one sees, or of one; the newest first."""
    rows = queries.with_findings(visible_incidents(owner_of(request)))
    wanted = {"asset": asked.asset, "state": asked.state}
    rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
    found, following = slice_of(rows, ("-began_at", "-id"), asked)
    names = queries.sensor_names(*{row.asset_id for row in found})
    return {"data": [IncidentOut(**presenting.incident(row, names)) for row in found], "next": following}


@router.get("/anomaly/incidents/{uuid:incident_id}", response=IncidentDetail, summary="Read an incident")
@in_thread
def get_incident(request: HttpRequest, incident_id: UUID) -> IncidentDetail:
    return _detail(owner_of(request), visible_incident(owner_of(request), incident_id).pk)


@router.put(
    "/anomaly/incidents/{uuid:incident_id}/state", response=IncidentDetail, openapi_extra=also(409),
    summary="Judge an incident",
)  # fmt: skip
@in_thread
def judge_incident(request: HttpRequest, incident_id: UUID, payload: IncidentChange) -> IncidentDetail:
    """resolved and false_alarm teach its detectors. 409 when it is in this state, or cannot come into it."""
    found: Incident = worked_incident(owner_of(request), incident_id)
    if not _ACTS[payload.state](incident=found, actor=owner_of(request)):
        raise conflict(f"The incident is {found.state}.")
    return _detail(owner_of(request), incident_id)


@router.put("/anomaly/incidents/{uuid:incident_id}/assignee", response=IncidentDetail, summary="Assign an incident")
@in_thread
def assign_incident(request: HttpRequest, incident_id: UUID, payload: AssigneeIn) -> IncidentDetail:
    found = worked_incident(owner_of(request), incident_id)
    to = get_object_or_404(workers_of(found.asset), pk=payload.assignee) if payload.assignee else None
    incidents.assign(incident=found, to=to, actor=owner_of(request))
    return _detail(owner_of(request), incident_id)


@router.post(
    "/anomaly/incidents/{uuid:incident_id}/comments", response={201: IncidentDetail}, summary="Comment on an incident"
)
@in_thread
def comment_on_incident(request: HttpRequest, incident_id: UUID, payload: CommentIn) -> IncidentDetail:
    found = worked_incident(owner_of(request), incident_id)
    incidents.comment(incident=found, author=owner_of(request), text=payload.text)
    return _detail(owner_of(request), incident_id)
