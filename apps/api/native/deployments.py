"""Deployments, for administrators: what answers under which name. Their revisions are in revisions.py."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body
from apps.api.native.deployed import DeploymentOut, StatsOut, deployment_out, stats_out
from apps.api.native.paging import Page, Paging, slice_of
from apps.api.native.running import creating, in_thread, key_of, who
from apps.api.site import also
from apps.console import queries
from apps.console.permissions import known_deployment, known_version
from apps.registry.models import ModelVersion
from apps.serving import deployments
from apps.serving.models import Deployment, Revision

router = Router(auth=KeyAuth(Scope.ADMIN), tags=["Deployments"])
NAME = r"^[-a-zA-Z0-9_]+$"


def _nothing() -> None:
    """A default that the document does not tell: what is left out stays as it is."""


class VersionRef(Body):
    name: str = Field(min_length=1, max_length=80, description="Of the model.")
    number: int = Field(ge=1, le=2**31 - 1)


class RevisionSettings(Body):
    """What is left out is as the newest revision has it; of the first one, as the version suggests."""

    version: VersionRef
    context_length: int = Field(default_factory=int, ge=16, le=10**7, description="At most the version's own.")
    max_batch_size: int = Field(default_factory=int, ge=1, le=1024)
    provider: Revision.Provider = Field(default_factory=lambda: Revision.Provider.AUTO)
    fp16: bool = Field(default_factory=bool)
    replicas: int = Field(default_factory=int, ge=1, le=64, description="Workers that load it.")

    def given(self) -> dict[str, Any]:
        """What was named, as the services take it."""
        return {name: getattr(self, name) for name in self.model_fields_set - {"version"}}


class DeploymentIn(RevisionSettings):
    name: str = Field(max_length=80, pattern=NAME, description="What clients call as `model`.")


class Limits(Body):
    """Only what is named is changed; null is no limit."""

    guard_error_rate: float | None = Field(
        default_factory=_nothing, ge=0, le=1, description="The guard rolls back above this share of errors."
    )
    guard_p95_seconds: float | None = Field(default_factory=_nothing, ge=0, le=86_400)
    guard_window: int = Field(default_factory=int, ge=1, le=3600, description="Seconds that the guard looks at.")
    guard_min_requests: int = Field(default_factory=int, ge=0, le=10**6, description="Fewer are not judged.")
    max_waiting: int = Field(
        default_factory=int, ge=0, le=10**6, description="Requests that may wait; more are refused with 503."
    )


class Weights(Body):
    weights: dict[int, int] = Field(
        min_length=1, max_length=100, description="Per cent by number of revision; they sum to 100. Others get none."
    )


class Span(Body):
    seconds: int = Field(3600, ge=10, le=3600, description="How far back, in whole tens of seconds.")


def deployment_for(request: HttpRequest, name: str) -> Deployment:
    """A deployment that the key is not for does not exist for it. Raises Http404."""
    return known_deployment(name if key_of(request).may_use(name) else "")


def version_of(ref: VersionRef) -> ModelVersion:
    """Raises Http404."""
    return known_version(ref.name, ref.number)


def shown(name: str) -> DeploymentOut:
    """As it is now."""
    return deployment_out(queries.groups(name)[0])


@router.get("/deployments", response=Page[DeploymentOut], summary="List deployments")
@in_thread
def list_deployments(request: HttpRequest, paging: Query[Paging]) -> dict[str, Any]:
    """By name, with their revisions."""
    found, following = slice_of(_visible(key_of(request).deployments), ("name",), paging)
    return {"data": [deployment_out(group) for group in queries.groups_of(found)], "next": following}


@router.post("/deployments", response={201: DeploymentOut}, openapi_extra=also(404), summary="Deploy a version")
@creating
def create_deployment(request: HttpRequest, payload: DeploymentIn) -> DeploymentOut:
    """Its first revision gets all traffic as soon as it is READY."""
    if not key_of(request).may_use(payload.name):
        raise ValueError("name: this key is not for it")
    version = version_of(payload.version)
    given = payload.given()
    return shown(deployments.create_deployment(version=version, **given, **who(request)).name)


@router.get("/deployments/{slug:name}", response=DeploymentOut, summary="Read a deployment")
@in_thread
def get_deployment(request: HttpRequest, name: str) -> DeploymentOut:
    return shown(deployment_for(request, name).name)


@router.patch("/deployments/{slug:name}", response=DeploymentOut, summary="Change a deployment's limits")
@in_thread
def update_deployment(request: HttpRequest, name: str, payload: Limits) -> DeploymentOut:
    changes = {field: getattr(payload, field) for field in payload.model_fields_set}
    deployments.set_guard(deployment=deployment_for(request, name), **changes, **who(request))
    return shown(name)


@router.delete("/deployments/{slug:name}", response={204: None}, summary="Delete a deployment")
@in_thread
def delete_deployment(request: HttpRequest, name: str) -> None:
    """Its revisions finish what they have; the versions stay registered."""
    deployments.delete_deployment(deployment=deployment_for(request, name), **who(request))


@router.get("/deployments/{slug:name}/stats", response=Page[StatsOut], summary="Read a deployment's figures")
@in_thread
def get_stats(request: HttpRequest, name: str, span: Query[Span]) -> dict[str, Any]:
    """One entry a revision, the newest first: there is one page."""
    rows = queries.groups(deployment_for(request, name).name)[0].rows
    return {"data": [stats_out(row, span.seconds) for row in rows], "next": None}


@router.put("/deployments/{slug:name}/weights", response=DeploymentOut, summary="Share the traffic out")
@in_thread
def set_weights(request: HttpRequest, name: str, payload: Weights) -> DeploymentOut:
    deployments.set_weights(deployment=deployment_for(request, name), weights=payload.weights, **who(request))
    return shown(name)


@router.post("/deployments/{slug:name}/pause", response=DeploymentOut, summary="Pause a deployment")
@in_thread
def pause_deployment(request: HttpRequest, name: str) -> DeploymentOut:
    """It takes no more requests; what is loaded stays, what runs is finished."""
    deployments.pause(deployment=deployment_for(request, name), **who(request))
    return shown(name)


@router.post("/deployments/{slug:name}/resume", response=DeploymentOut, summary="Resume a deployment")
@in_thread
def resume_deployment(request: HttpRequest, name: str) -> DeploymentOut:
    deployments.resume(deployment=deployment_for(request, name), **who(request))
    return shown(name)


@router.post("/deployments/{slug:name}/roll-back", response=DeploymentOut, summary="Roll a deployment back")
@in_thread
def roll_back_deployment(request: HttpRequest, name: str) -> DeploymentOut:
    """All traffic to the revision before the newest one that has any. 400 when there is none."""
    deployments.roll_back(deployment=deployment_for(request, name), **who(request))
    return shown(name)


def _visible(names: Iterable[str]) -> Any:
    """All, or those that the key is for."""
    return Deployment.objects.filter(name__in=names) if names else Deployment.objects.all()
