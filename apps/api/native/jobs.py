"""Jobs: what takes minutes. For administrators."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.errors import conflict
from apps.api.native.paging import Page, Paging, slice_of
from apps.api.native.running import in_thread, who
from apps.api.site import also
from apps.console import inventory
from apps.console.permissions import known_job
from apps.jobs import services
from apps.jobs.models import Job

router = Router(auth=KeyAuth(Scope.ADMIN), tags=["Jobs"])


class JobOut(Schema):
    id: UUID
    kind: str
    title: str
    state: Literal["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
    stage: str = Field(description="What it does now.")
    fraction: float = Field(description="How much of it is done, 0 to 1.")
    reason: str = Field(description="Why it failed.")
    arguments: dict[str, Any]
    result: dict[str, Any]
    attempt: int
    created_by: str | None = Field(description="E-mail address.")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class LogOut(Schema):
    log: str = Field(description="The end of what it has printed.")


class PointOut(Schema):
    step: int
    steps: int = Field(description="Of the whole training.")
    loss: float
    rate: float | None = Field(None, description="Steps a second.")
    seconds_left: float | None = None
    figures: dict[str, float] = Field(description="Of an evaluation at this step: score, loss, range. Else empty.")


class CurveOut(Schema):
    recipe: dict[str, Any] = Field(description="What is trained, and how; empty for jobs that train nothing.")
    points: list[PointOut] = Field(description="At most 300 steps, evenly spaced, and as many evaluations.")
    ranks: list[dict[str, Any]] = Field(description="What each process does; of mixtures of experts only.")


def job_out(job: Job) -> JobOut:
    return _out(inventory.job_rows([job])[0])


def _out(row: inventory.JobRow) -> JobOut:
    job = row.job
    names = ("kind", "title", "reason", "arguments", "result", "attempt", "created_at", "started_at", "ended_at")
    return JobOut(
        id=job.pk,
        state=Job.State(row.state).value,  # type: ignore[arg-type]
        stage=row.stage,
        fraction=row.fraction,
        created_by=job.created_by.email if job.created_by else None,
        **{name: getattr(job, name) for name in names},
    )


@router.get("/jobs", response=Page[JobOut], summary="List jobs")
@in_thread
def list_jobs(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """The newest first."""
    found, following = slice_of(inventory.jobs(), ("-created_at", "-id"), paging)
    return {"data": [_out(row) for row in inventory.job_rows(found)], "next": following}


@router.get("/jobs/{uuid:job_id}", response=JobOut, summary="Read a job")
@in_thread
def get_job(request: HttpRequest, job_id: UUID) -> JobOut:
    return job_out(known_job(job_id))


@router.get("/jobs/{uuid:job_id}/log", response=LogOut, summary="Read a job's log")
@in_thread
def get_log(request: HttpRequest, job_id: UUID) -> LogOut:
    return LogOut(log=inventory.job_rows([known_job(job_id)])[0].log)


@router.get("/jobs/{uuid:job_id}/curve", response=CurveOut, summary="Read a training's curve")
@in_thread
def get_curve(request: HttpRequest, job_id: UUID) -> dict[str, Any]:
    """While it trains and afterwards, of its newest attempt."""
    return asdict(inventory.job_rows([known_job(job_id)])[0].details)


@router.post("/jobs/{uuid:job_id}/cancel", response={202: JobOut}, openapi_extra=also(409), summary="Cancel a job")
@in_thread
def cancel_job(request: HttpRequest, job_id: UUID) -> JobOut:
    """It ends within a second. 409 when it is over already."""
    job = known_job(job_id)
    if not services.cancel(job=job, **who(request)):
        raise conflict("The job is over already.")
    return job_out(known_job(job_id))


@router.post(
    "/jobs/{uuid:job_id}/retry", response={202: JobOut}, openapi_extra=also(409, 429), summary="Try a job again"
)
@in_thread
def retry_job(request: HttpRequest, job_id: UUID) -> JobOut:
    """As its next attempt. 409 unless it has failed or was cancelled."""
    job = known_job(job_id)
    if not services.retry(job=job, **who(request)):
        raise conflict("Only a job that failed or was cancelled can be tried again.")
    return job_out(job)
