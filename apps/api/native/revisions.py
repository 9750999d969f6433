"""Revisions of a deployment, for administrators: add, share, scale, promote, load again, stop, start."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body
from apps.api.native.deployed import DeploymentOut
from apps.api.native.deployments import RevisionSettings, deployment_for, shown, version_of
from apps.api.native.running import creating, in_thread, who
from apps.console import queries
from apps.serving import deployments
from apps.serving.models import Revision

router = Router(auth=KeyAuth(Scope.ADMIN), tags=["Deployments"])
ONE = "/deployments/{slug:name}/revisions/{int:number}"


class RevisionIn(RevisionSettings):
    weight: int = Field(
        0, ge=0, le=100, description="0 stands by, 1 to 99 is a canary, 100 takes over once it is READY."
    )


class ShareIn(Body):
    share: int = Field(ge=0, le=100, description="Per cent; the others keep their proportions of the rest.")


class ScaleIn(Body):
    replicas: int = Field(ge=1, le=64)


def revision_for(request: HttpRequest, name: str, number: int) -> Revision:
    """Raises Http404."""
    found = Revision.objects.select_related("deployment", "version__model")
    return get_object_or_404(found, deployment=deployment_for(request, name), number=number)


@router.post("/deployments/{slug:name}/revisions", response={201: DeploymentOut}, summary="Add a revision")
@creating
def add_revision(request: HttpRequest, name: str, payload: RevisionIn) -> DeploymentOut:
    """Beside those that serve."""
    deployment, version = deployment_for(request, name), version_of(payload.version)
    deployments.add_revision(deployment=deployment, version=version, **payload.given(), **who(request))
    return shown(name)


@router.put(ONE + "/share", response=DeploymentOut, summary="Set a canary's share")
@in_thread
def set_share(request: HttpRequest, name: str, number: int, payload: ShareIn) -> DeploymentOut:
    deployment = revision_for(request, name, number).deployment
    weights = queries.shared(deployment, number, payload.share)
    deployments.set_weights(deployment=deployment, weights=weights, **who(request))
    return shown(name)


@router.put(ONE + "/replicas", response=DeploymentOut, summary="Scale a revision")
@in_thread
def scale_revision(request: HttpRequest, name: str, number: int, payload: ScaleIn) -> DeploymentOut:
    """Have it on that many workers."""
    deployments.scale(revision=revision_for(request, name, number), replicas=payload.replicas, **who(request))
    return shown(name)


@router.post(ONE + "/promote", response=DeploymentOut, summary="Promote a revision")
@in_thread
def promote_revision(request: HttpRequest, name: str, number: int) -> DeploymentOut:
    """All traffic to it: at once when it is READY, else as soon as it is."""
    return _verb(request, deployments.promote, name, number)


@router.post(ONE + "/retry", response=DeploymentOut, summary="Load a revision again")
@in_thread
def retry_revision(request: HttpRequest, name: str, number: int) -> DeploymentOut:
    return _verb(request, deployments.retry, name, number)


@router.post(ONE + "/stop", response=DeploymentOut, summary="Stop a revision")
@in_thread
def stop_revision(request: HttpRequest, name: str, number: int) -> DeploymentOut:
    """It is unloaded once it has finished what it has."""
    return _verb(request, deployments.stop_revision, name, number)


@router.post(ONE + "/start", response=DeploymentOut, summary="Start a revision")
@in_thread
def start_revision(request: HttpRequest, name: str, number: int) -> DeploymentOut:
    """It stands by unless nothing else has traffic."""
    return _verb(request, deployments.start_revision, name, number)


def _verb(request: HttpRequest, verb: Callable[..., Any], name: str, number: int) -> DeploymentOut:
    verb(revision=revision_for(request, name, number), **who(request))
    return shown(name)
