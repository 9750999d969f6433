"""Deployments and their revisions as JSON says them."""

from datetime import datetime
from typing import Any, Literal

from ninja import Field, Schema

from apps.console.queries import Group, Row
from apps.serving.models import Revision

State = Literal["PENDING", "LOADING", "WARMING", "READY", "DRAINING", "STOPPED", "FAILED"]


class RevisionOut(Schema):
    number: int
    version: str = Field(description="Of the model, such as “smollm2 v3”.")
    state: State
    reason: str = Field(description="Why it failed or waits.")
    weight: int = Field(description="Its share of the traffic in per cent.")
    takes_over: bool = Field(description="It gets all traffic as soon as it is READY.")
    is_wanted: bool = Field(description="It should be loaded.")
    replicas: int
    ready_workers: int
    running: int
    waiting: int
    context_length: int
    max_batch_size: int
    provider: Revision.Provider
    fp16: bool
    memory_bytes: int
    created_at: datetime


class DeploymentOut(Schema):
    name: str
    task: str
    is_paused: bool
    max_waiting: int
    guard_error_rate: float | None
    guard_p95_seconds: float | None
    guard_window: int
    guard_min_requests: int
    created_at: datetime
    revisions: list[RevisionOut] = Field(description="The newest first.")


class StatsOut(Schema):
    """Times are in seconds; null where nothing was measured."""

    revision: int
    seconds: int = Field(description="How far back the figures go.")
    requests: int
    errors: int
    error_rate: float
    requests_per_second: float
    prompt_tokens: int
    completion_tokens: int
    latency_p50: float | None
    latency_p95: float | None
    first_token_p50: float | None
    first_token_p95: float | None
    inter_token_p95: float | None


def revision_out(row: Row) -> RevisionOut:
    of_revision = (
        "number", "state", "reason", "weight", "takes_over", "is_wanted", "replicas", "context_length",
        "max_batch_size", "provider", "fp16", "created_at",
    )  # fmt: skip
    values: dict[str, Any] = {name: getattr(row.revision, name) for name in of_revision}
    values |= {name: getattr(row, name) for name in ("ready_workers", "running", "waiting")}
    return RevisionOut(version=str(row.revision.version), memory_bytes=row.memory, **values)


def deployment_out(group: Group) -> DeploymentOut:
    names = ("name", "is_paused", "max_waiting", "guard_error_rate", "guard_p95_seconds", "guard_window")
    values = {name: getattr(group.deployment, name) for name in names}
    return DeploymentOut(
        task=group.rows[0].revision.version.model.task if group.rows else "",
        guard_min_requests=group.deployment.guard_min_requests,
        created_at=group.deployment.created_at,
        revisions=[revision_out(row) for row in group.rows],
        **values,
    )


def stats_out(row: Row, seconds: int) -> StatsOut:
    figures = row.over(seconds)
    return StatsOut(
        revision=row.revision.number,
        seconds=figures.seconds,
        requests=figures.requests,
        errors=figures.errors,
        error_rate=figures.error_rate,
        requests_per_second=figures.per_second,
        prompt_tokens=figures.counters["prompt_tokens"],
        completion_tokens=figures.counters["completion_tokens"],
        latency_p50=figures.percentile(0.5),
        latency_p95=figures.percentile(0.95),
        first_token_p50=figures.percentile(0.5, "first"),
        first_token_p95=figures.percentile(0.95, "first"),
        inter_token_p95=figures.percentile(0.95, "inter"),
    )
