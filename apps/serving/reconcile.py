"""From what is wanted and what the workers say to states, placements and routes; each second and on demand."""

import json
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from apps.audit.services import record
from apps.serving import queries, traffic
from apps.serving.connection import client
from apps.serving.locks import wait_for_turn
from apps.serving.models import Revision
from apps.serving.placement import Placements, Wish, place
from apps.serving.signals import revision_failed
from apps.serving.states import Observed, State, observe
from contracts import names
from contracts.messages import WorkerLease

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Change:
    """A revision has gone from one state to another."""

    revision: str
    before: str
    after: str
    reason: str = ""


@transaction.atomic
def reconcile() -> list[Change]:
    """Store what state each revision is in, move traffic that waits for it, and publish. Idempotent.

    Side effects: rows of Revision, audit rows for what people want to know, the keys that workers and web
    processes follow.
    """
    wait_for_turn()
    leases = queries.leases()
    revisions = list(queries.current_revisions())
    wanted = [revision for revision in revisions if revision.is_wanted]
    plan = place([_wish(revision, leases) for revision in wanted], leases, _current(leases))
    changes = []
    for revision in revisions:
        placed = len(plan.placements.get(revision.key, []))
        observed = observe(
            is_wanted=revision.is_wanted,
            generation=revision.generation,
            reports=[lease.revisions[revision.key] for lease in leases if revision.key in lease.revisions],
            placed=placed,
            waiting_for=plan.reasons.get(revision.key, ""),
        )
        if change := _store(revision, observed):
            changes.append(change)
    traffic.take_over(wanted)
    _publish(revisions, plan.placements, leases)
    return changes


def _current(leases: list[WorkerLease]) -> Placements:
    """Where revisions are, by the workers' own word, or were last told to be."""
    told = client().hgetall(names.PLACEMENTS_KEY)
    current: Placements = {key: json.loads(workers) for key, workers in told.items()}
    for lease in leases:
        for key, report in lease.revisions.items():
            if report.state != State.DRAINING and lease.worker_id not in current.setdefault(key, []):
                current[key].append(lease.worker_id)
    return current


def _wish(revision: Revision, leases: list[WorkerLease]) -> Wish:
    reports = {lease.worker_id: lease.revisions.get(revision.key) for lease in leases}
    failed = {
        worker
        for worker, report in reports.items()
        if report and report.state == State.FAILED and report.generation == revision.generation
    }
    return Wish(
        key=revision.key,
        need=queries.memory_need(revision),
        replicas=revision.replicas,
        weight=100 if revision.takes_over else revision.weight,
        needs_gpu=revision.provider in {Revision.Provider.CUDA, Revision.Provider.TENSORRT},
        failed_on=frozenset(failed),
    )


def _store(revision: Revision, observed: Observed) -> Change | None:
    """Write the state by a conditional update; says so when it was another."""
    before = revision.state
    fields: dict[str, Any] = {"state": observed.state, "reason": observed.reason}
    if observed.memory_bytes:
        fields["memory_bytes"] = observed.memory_bytes
    if all(getattr(revision, name) == value for name, value in fields.items()):
        return None
    if observed.state != before:
        fields["state_since"] = timezone.now()
    rows = Revision.objects.filter(pk=revision.pk, state=before, generation=revision.generation)
    if not rows.update(**fields):
        return None
    for name, value in fields.items():
        setattr(revision, name, value)
    if observed.state == before:
        return None
    return _tell(revision, Change(revision.key, before, observed.state, observed.reason))


# Transitions that people want to find in the log; the rest is on the page while it lasts.
_TOLD = {
    State.READY: "deployment.revision_ready",
    State.FAILED: "deployment.revision_failed",
    State.STOPPED: "deployment.revision_stopped",
}


def _tell(revision: Revision, change: Change) -> Change:
    log.info("revision", revision=change.revision, state=change.after, before=change.before, reason=change.reason)
    action = _TOLD.get(State(change.after))
    if change.before == State.READY and change.after in {State.PENDING, State.LOADING, State.WARMING}:
        action = "deployment.revision_lost"
    if action:
        reason: dict[str, Any] = {"reason": change.reason} if change.reason else {}
        record(action=action, target=revision.deployment, part="reconciler", revision=revision.number, **reason)
    if change.after == State.FAILED:
        revision_failed.send(sender=Revision, revision=revision, reason=change.reason)
    return change


def _publish(revisions: list[Revision], placements: Placements, leases: list[WorkerLease]) -> None:
    """Write what has changed; one transaction of Redis, so that nobody sees half of it.

    The list of workers that were known goes with it: a worker that is not on it does nothing, since the
    placements were made without it.
    """
    wanted = [revision for revision in revisions if revision.is_wanted]
    tables = {
        names.REVISIONS_KEY: {revision.key: queries.spec_of(revision).to_json() for revision in wanted},
        names.PLACEMENTS_KEY: {key: json.dumps(workers) for key, workers in placements.items()},
        names.ROUTES_KEY: {name: route.to_json() for name, route in queries.routes_of(wanted).items()},
    }
    known = json.dumps(sorted(lease.worker_id for lease in leases))
    with client().pipeline(transaction=False) as pipe:
        for key in tables:
            pipe.hgetall(key)
        pipe.get(names.RECONCILED_KEY)
        *published, published_known = pipe.execute()
    if published == list(tables.values()) and published_known == known:
        return
    with client().pipeline() as pipe:
        for key, table in tables.items():
            pipe.delete(key)
            if table:
                pipe.hset(key, mapping=table)
        pipe.set(names.RECONCILED_KEY, known)
        pipe.execute()
