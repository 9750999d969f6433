"""What is deployed and what is alive."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from apps.registry import artifacts
from apps.serving import snapshot
from apps.serving.connection import client
from apps.serving.models import Revision
from apps.serving.states import State, observe
from contracts import names
from contracts.messages import RevisionSpec, Route, RouteRevision, WorkerLease

_KEPT_SLOTS = 8  # rows of the cache that keep prefixes of finished conversations (workers/pipelines)
_ORDER: list[str] = [State.READY, State.WARMING, State.LOADING, State.PENDING, State.FAILED]


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """A deployment as people see it: what should run and what does."""

    name: str
    title: str
    task: str
    state: str  # PENDING, LOADING, WARMING, READY, FAILED
    context_length: int
    ready_workers: int
    reason: str = ""
    created_at: float = 0.0
    is_paused: bool = False

    @property
    def is_ready(self) -> bool:
        return self.ready_workers > 0 and not self.is_paused


def leases() -> list[WorkerLease]:
    """Leases of the workers that are alive, read now."""
    return snapshot.take().leases


def deployment_states(task: str = "") -> list[DeploymentState]:
    """State of every deployment (of a task) by name; from this process's snapshot, no query."""
    now = snapshot.current()
    routes = sorted(now.routes.values(), key=lambda route: route.name)
    return [state_of(route, now.leases) for route in routes if task in ("", route.task)]


def state_of(route: Route, alive: list[WorkerLease]) -> DeploymentState:
    """Best state of the revisions with traffic; of all, when none has any."""
    revisions = [one for one in route.revisions if one.weight] or route.revisions
    reports = [lease.revisions[one.key] for one in revisions for lease in alive if one.key in lease.revisions]
    states = [observe(is_wanted=True, generation=each.generation, reports=[each]) for each in reports]
    best = min((each.state for each in states), key=_ORDER.index, default=State.PENDING)
    return DeploymentState(
        name=route.name,
        title=route.title,
        task=route.task,
        state=best,
        context_length=max((one.context_length for one in revisions), default=0),
        ready_workers=sum(each.state == State.READY for each in states),
        reason=next((each.reason for each in states if each.reason), "") if best == State.FAILED else "",
        created_at=route.created_at,
        is_paused=route.is_paused,
    )


def current_revisions() -> QuerySet[Revision]:
    """Revisions that are wanted or not gone yet, the newest of a deployment first."""
    rows = Revision.objects.filter(Q(is_wanted=True) | ~Q(state=State.STOPPED))
    return rows.select_related("deployment", "version__model").order_by("deployment__name", "-number")


def newest_revisions() -> QuerySet[Revision]:
    """The newest revision of every deployment."""
    rows = Revision.objects.order_by("deployment_id", "-number").distinct("deployment_id")
    return rows.select_related("deployment", "version__model")


def spec_of(revision: Revision) -> RevisionSpec:
    """What a worker is told about the revision."""
    version = revision.version
    return RevisionSpec(
        key=revision.key,
        deployment=revision.deployment.name,
        task=version.model.task,
        artifact=artifacts.address(version.artifact),
        digest=version.digest,
        max_batch_size=revision.max_batch_size,
        context_length=revision.context_length,
        provider=revision.provider,
        fp16=revision.fp16,
        memory_bytes=memory_need(revision),
        generation=revision.generation,
        weight=revision.weight,
    )


def routes_of(revisions: list[Revision]) -> dict[str, Route]:
    """Routes of all deployments; `revisions` are those that are wanted."""
    routes = {newest.deployment.name: _route_of(newest) for newest in newest_revisions()}
    for one in revisions:
        if route := routes.get(one.deployment.name):
            route.revisions.append(RouteRevision(one.key, one.number, one.weight, one.context_length))
    return routes


def _route_of(newest: Revision) -> Route:
    deployment, model = newest.deployment, newest.version.model
    return Route(
        name=deployment.name,
        title=model.title,
        task=model.task,
        created_at=deployment.created_at.timestamp(),
        is_paused=deployment.is_paused,
        max_waiting=deployment.max_waiting,
    )


def memory_need(revision: Revision) -> int:
    """Bytes that loading it will take: its files (or what loading took last time) and its key-value cache."""
    manifest = revision.version.manifest
    files = sum(int(each.get("bytes", 0)) for each in manifest.get("files", {}).values() if isinstance(each, dict))
    return (revision.memory_bytes or files) + _cache_bytes(revision, manifest)


def _cache_bytes(revision: Revision, manifest: dict[str, Any]) -> int:
    shape = manifest.get("kv")
    if not shape:
        return 0
    width = 2 if manifest.get("precision") == "fp16" else 4
    row = 2 * int(shape["layers"]) * int(shape["heads"]) * int(shape["head_dim"]) * width
    return row * revision.context_length * (revision.max_batch_size + _KEPT_SLOTS)


def published_specs() -> dict[str, str]:
    """The wanted revisions as Redis has them: key -> JSON."""
    specs: dict[str, str] = client().hgetall(names.REVISIONS_KEY)
    return specs


def queue_length(queue: str) -> int:
    """Requests that no worker has taken from the broker yet."""
    return int(client().llen(queue))
