"""What is deployed and what is alive."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from apps.serving.connection import client
from apps.serving.models import Deployment
from contracts import names
from contracts.messages import RevisionSpec, WorkerLease


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """A deployment as people see it: what should run and what does."""

    name: str
    title: str
    state: str  # PENDING, LOADING, WARMING, READY, FAILED
    context_length: int
    ready_workers: int
    reason: str = ""
    created_at: float = 0.0

    @property
    def is_ready(self) -> bool:
        return self.ready_workers > 0


def leases() -> list[WorkerLease]:
    """Leases of the workers that are alive."""
    now = time.time()
    rows: Iterable[str] = client().hvals(names.WORKERS_KEY)
    return [lease for lease in map(WorkerLease.from_json, rows) if lease.expires > now]


def enabled_deployments() -> QuerySet[Deployment]:
    return Deployment.objects.filter(is_enabled=True).select_related("version__model")


def deployment_states() -> list[DeploymentState]:
    """State of every enabled deployment; one query and one call to Redis."""
    alive = leases()
    return [_state_of(deployment, alive) for deployment in enabled_deployments()]


def spec_of(deployment: Deployment) -> RevisionSpec:
    """What a worker is told about the deployment."""
    version = deployment.version
    return RevisionSpec(
        name=deployment.name,
        task=version.model.task,
        artifact=str(Path(settings.ARTIFACTS_DIR) / version.artifact),
        digest=version.digest,
        max_batch_size=deployment.max_batch_size,
        context_length=deployment.context_length,
    )


def published_specs() -> dict[str, str]:
    """The desired deployments as Redis has them: name -> JSON."""
    specs: dict[str, str] = client().hgetall(names.DEPLOYMENTS_KEY)
    return specs


def queue_length(deployment: str) -> int:
    """Requests that no worker has taken from the broker yet."""
    return int(client().llen(names.queue_name(deployment)))


def is_saturated(deployment: str, alive: list[WorkerLease]) -> bool:
    """Whether every worker of the deployment already has more waiting than it can soon take."""
    able = [lease for lease in alive if lease.deployments.get(deployment) == "READY"]
    return bool(able) and all(lease.waiting >= settings.MAX_WAITING_PER_SLOT * max(lease.slots, 1) for lease in able)


_ORDER = ["READY", "WARMING", "LOADING", "FAILED"]


def _state_of(deployment: Deployment, alive: list[WorkerLease]) -> DeploymentState:
    states = [lease.deployments[deployment.name] for lease in alive if deployment.name in lease.deployments]
    best = min(states, key=_ORDER.index, default="PENDING")
    reasons = [lease.reasons[deployment.name] for lease in alive if deployment.name in lease.reasons]
    return DeploymentState(
        name=deployment.name,
        title=deployment.version.model.title,
        state=best,
        context_length=deployment.context_length,
        ready_workers=states.count("READY"),
        reason=reasons[0] if reasons and best == "FAILED" else "",
        created_at=deployment.created_at.timestamp(),
    )
