"""Sending requests to workers, stopping and settling them. recovery.py sends again what was left behind."""

import math
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.serving import queries, requests, router, snapshot, stats
from apps.serving.gates import Gate
from apps.serving.signals import request_discarded, request_settled, requests_settled
from contracts import names
from contracts.messages import ErrorType, InferenceRequest, Route, SamplingParams, WorkerLease

log = structlog.get_logger()

CHAT = "text-generation"


class NoWorker(Exception):
    """No worker can take the request now; nothing was stored or sent."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownDeployment(LookupError):
    """There is no deployment of that name. `available` lists those there are."""

    def __init__(self, name: str, available: list[str]) -> None:
        super().__init__(f"There is no model {name!r}. Available: {', '.join(available) or 'none'}.")
        self.available = available


class WrongTask(ValueError):
    """The deployment does something else than what was asked of it."""

    def __init__(self, name: str, task: str, wanted: str) -> None:
        super().__init__(f"model: {name!r} is made for {task}, not for {wanted}")
        self.task = task


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: a deployment and the revision of it that the router chose."""

    name: str
    title: str
    task: str
    revision: str
    number: int
    context_length: int
    limit: int  # requests of the revision that may be live; 0 is no limit


_spread = router.Spread()


def new_request_id() -> str:
    return uuid.uuid4().hex


def sampling_params(values: dict[str, Any]) -> SamplingParams:
    """Check sampling parameters. Raises ValueError(`field: reason`)."""
    try:
        return SamplingParams(**values)
    except TypeError as error:
        unknown = sorted(set(values) - set(SamplingParams.__dataclass_fields__))
        raise ValueError(f"{unknown[0] if unknown else 'parameters'}: is not a sampling parameter") from error


def choose_deployment(name: str = "", *, task: str = CHAT, sticky: str = "") -> Target:
    """The deployment that answers to `name`, or the oldest ready one of the task when no name is given, and
    the revision of it that gets this request. Requests with the same `sticky` key get the same revision.

    Raises UnknownDeployment, WrongTask, or NoWorker when nothing is ready or the queue is full.
    """
    target = route(name, task=task, sticky=sticky)
    if requests.live_count(target.revision) >= target.limit:
        raise full(target.revision, target.limit)
    return target


def route(name: str = "", *, task: str = CHAT, sticky: str = "") -> Target:
    """As choose_deployment, without asking whether there is room: saving the request finds out anyway."""
    now = _snapshot()
    found = _route_named(name, task, now) if name else _oldest_ready(task, now)
    if found.is_paused:
        raise NoWorker(f"{found.name} is paused.", retry_after=30)
    point = router.point_of(sticky) if sticky else _spread.point(found.name)
    chosen = router.choose_revision(found, now.leases, point)
    if chosen is None:
        why = queries.state_of(found, now.leases).reason
        raise NoWorker("No worker is ready to answer." + (f" {why}" if why else ""))
    limit = found.max_waiting + router.slots_of(chosen.key, now.leases)
    return Target(found.name, found.title, found.task, chosen.key, chosen.number, chosen.context_length, limit)


def build_request(
    *,
    target: Target,
    inputs: dict[str, Any],
    tenant: str,
    parameters: dict[str, Any] | None = None,
    conversation: str = "",
    deadline: float | None = None,
    request_id: str = "",
    is_streamed: bool = True,
) -> InferenceRequest:
    """A checked request; `deadline` is in seconds from now. Raises ValueError(`field: reason`)."""
    if target.task == CHAT:
        sampling_params(parameters or {})
    now = time.time()
    return InferenceRequest(
        request_id=request_id or new_request_id(),
        deployment=target.name,
        revision=target.revision,
        task=target.task,
        inputs=inputs,
        sampling_params=parameters or {},
        tenant=tenant,
        conversation=conversation,
        arrival_time=now,
        deadline=now + (deadline or settings.REQUEST_DEADLINE),
        is_streamed=is_streamed,
    )


def submit(*, request: InferenceRequest, owner_id: object, limit: int = 0, gate: Gate | None = None) -> None:
    """Hand the request to the workers; within a transaction, once that is committed.

    Raises what the gate raises, and NoWorker when `limit` requests of the revision are live: the place is taken here
    and now, so two processes cannot both take the last one. A transaction that is rolled back gives it back after a
    while.
    """
    worker = router.choose_worker(request.revision, _snapshot().leases, request.conversation)
    queue = names.queue_name(request.revision, worker)
    reserve = transaction.get_connection().in_atomic_block
    try:
        is_saved = requests.save(request, owner=str(owner_id), queue=queue, limit=limit, reserve=reserve, gate=gate)
    except redis.RedisError as error:
        raise no_redis(error) from error
    if not is_saved:
        raise full(request.revision, limit)
    log.info("request accepted", request_id=request.request_id, revision=request.revision, owner=str(owner_id))
    if reserve:
        transaction.on_commit(lambda: _release(request, queue))
    else:
        send(request, queue)


def send(request: InferenceRequest, queue: str = "") -> None:
    """One message to the broker. When it is not there, recovery sends the request later."""
    try:
        current_app.send_task(
            names.INFER_TASK,
            args=[request.request_id, request.attempt],
            queue=queue or names.queue_name(request.revision),
            ignore_result=True,
            retry=False,
        )
    except (OperationalError, redis.RedisError, OSError) as error:
        log.warning("message not sent, left to recovery", request_id=request.request_id, error=str(error))


def discard(request_id: str, revision: str) -> None:
    """The transaction that submitted the request is rolled back: its place is given back, and whoever asked is told."""
    requests.discard(request_id, revision)
    request_discarded.send(sender=None, request_id=request_id)


def stop(*, request_id: str) -> None:
    """The worker drops the request at its next step. What was written is kept."""
    requests.ask_to_stop(request_id)


def settle(*, request_id: str) -> None:
    """Tell everyone who asked how the request ended; it is then out of recovery's hands. Idempotent."""
    settle_all([request_id])


def settle_all(request_ids: Iterable[str]) -> int:
    """Settle those that have ended, and count them into the stats of their revisions; returns how many. When a receiver
    fails, as while the database is away, none of them is: recovery settles them later."""
    found = requests.ended(request_ids)
    if not found:
        return 0
    requests_settled.send(sender=None, ended=found)
    for request_id, ended in found.items():
        request_settled.send(
            sender=None, request_id=request_id, transcript=ended.transcript, is_awaited=ended.is_awaited
        )
    mine = requests.forget({request_id: ended.revision for request_id, ended in found.items()})
    counted: dict[str, Counter[str]] = {}
    for request_id in mine:
        _say_settled(request_id, found[request_id])
        counted.setdefault(found[request_id].revision, Counter()).update(_measured(found[request_id]))
    stats.add(counted)
    return len(mine)


def settle_ended() -> int:
    """Settle what the workers have ended since the last time, in batches; returns how many."""
    settled = 0
    while request_ids := requests.take_ended(_BATCH):
        settled += settle_all(request_ids)
    return settled


_BATCH = 64


def _say_settled(request_id: str, ended: requests.Ended) -> None:
    outcome, error = ended.transcript.outcome, ended.transcript.error
    log.info(
        "request settled",
        request_id=request_id,
        revision=ended.revision,
        seconds=round(ended.ended_at - ended.arrival_time, 3),
        finish_reason=outcome.get("finish_reason", "error"),
        **({"error": error["type"]} if error else {}),
    )


def _measured(ended: requests.Ended) -> Counter[str]:
    outcome, error = ended.transcript.outcome, ended.transcript.error
    outcome = outcome or error.get("outcome") or {}
    tokens = outcome.get("completion_tokens", 0)
    return stats.measured(
        times={
            "latency": max(0.0, ended.ended_at - ended.arrival_time),
            "queue": outcome.get("queue_time"),
            "first": outcome.get("time_to_first_token") or None,
            "inter": outcome["duration"] / (tokens - 1) if tokens > 1 else None,
        },
        # What the client did wrong says nothing about the revision.
        is_error=error.get("type") in {ErrorType.INTERNAL, ErrorType.DEADLINE_EXCEEDED},
        prompt_tokens=outcome.get("prompt_tokens", 0),
        cached_tokens=outcome.get("cached_tokens", 0),
        completion_tokens=tokens,
        compute_ms=1000 * outcome.get("compute_seconds", 0.0),
    )


def _release(request: InferenceRequest, queue: str) -> None:
    try:
        requests.release(request.request_id)
    except redis.RedisError as error:
        log.warning("request not released", request_id=request.request_id, error=str(error))
        return
    send(request, queue)


def refresh() -> None:
    """Read routes and leases again if they are due. Raises NoWorker without Redis."""
    _snapshot()


def _snapshot() -> snapshot.Snapshot:
    try:
        return snapshot.current()
    except redis.RedisError as error:
        raise no_redis(error) from error


def _route_named(name: str, task: str, now: snapshot.Snapshot) -> Route:
    if not now.is_known:
        raise NoWorker("The deployments are being read. Try again in a moment.", retry_after=2)
    if name not in now.routes:
        raise UnknownDeployment(name, sorted(route.name for route in now.routes.values() if route.task == task))
    if now.routes[name].task != task:
        raise WrongTask(name, now.routes[name].task, task)
    return now.routes[name]


def _oldest_ready(task: str, now: snapshot.Snapshot) -> Route:
    """The deployment ready longest; one that is not, when none is."""
    routes = sorted((one for one in now.routes.values() if one.task == task), key=lambda route: route.created_at)
    routes.sort(key=lambda route: not _takes_requests(route, now.leases))
    if not routes:
        raise NoWorker("No model is deployed.")
    return routes[0]


def _takes_requests(route: Route, leases: list[WorkerLease]) -> bool:
    return not route.is_paused and router.choose_revision(route, leases, 0.0) is not None


def no_redis(error: Exception) -> NoWorker:
    log.warning("no Redis", error=str(error))
    return NoWorker("Requests cannot be taken just now: Redis does not answer.", retry_after=5)


def full(revision: str, limit: int) -> NoWorker:
    """Refusal with the time in which what waits now will have been served, at the rate of the last minute."""
    rate = stats.over([revision])[revision].per_second
    seconds = math.ceil(limit / rate) if rate else 30
    return NoWorker("All workers are busy and their queue is full.", retry_after=min(max(seconds, 1), 60))
