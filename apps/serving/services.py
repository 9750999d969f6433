"""Sending requests to workers, stopping, settling and recovering them."""

import time
import uuid
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction

from apps.registry.models import ModelVersion
from apps.serving import queries, requests
from apps.serving.connection import client
from apps.serving.models import Deployment
from apps.serving.signals import request_settled
from contracts import names
from contracts.messages import ErrorType, InferenceRequest, SamplingParams

log = structlog.get_logger()


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


def new_request_id() -> str:
    return uuid.uuid4().hex


def sampling_params(values: dict[str, Any]) -> SamplingParams:
    """Check sampling parameters. Raises ValueError(`field: reason`)."""
    try:
        return SamplingParams(**values)
    except TypeError as error:
        unknown = sorted(set(values) - set(SamplingParams.__dataclass_fields__))
        raise ValueError(f"{unknown[0] if unknown else 'parameters'}: is not a sampling parameter") from error


def choose_deployment(name: str = "") -> queries.DeploymentState:
    """The deployment that answers to `name`, or the one ready longest when no name is given.

    Raises UnknownDeployment, or NoWorker when nothing is ready or everything is full.
    """
    states = {state.name: state for state in queries.deployment_states()}
    if name and name not in states:
        raise UnknownDeployment(name, sorted(states))
    wanted = [states[name]] if name else sorted(states.values(), key=lambda state: state.created_at)
    ready = [state for state in wanted if state.is_ready]
    if not ready:
        why = next((state.reason for state in wanted if state.reason), "")
        raise NoWorker("No worker is ready to answer." + (f" {why}" if why else ""))
    if queries.is_saturated(ready[0].name, queries.leases()):
        raise NoWorker("All workers are busy and their queues are full.", retry_after=10)
    return ready[0]


def build_request(
    *,
    deployment: str,
    inputs: dict[str, Any],
    parameters: dict[str, Any],
    tenant: str,
    conversation: str = "",
    deadline: float | None = None,
) -> InferenceRequest:
    """A checked text-generation request; `deadline` is in seconds from now. Raises ValueError(`field: reason`)."""
    sampling_params(parameters)
    now = time.time()
    return InferenceRequest(
        request_id=new_request_id(),
        deployment=deployment,
        task="text-generation",
        inputs=inputs,
        sampling_params=parameters,
        tenant=tenant,
        conversation=conversation,
        arrival_time=now,
        deadline=now + (deadline or settings.REQUEST_DEADLINE),
    )


def submit(*, request: InferenceRequest, owner_id: object) -> None:
    """Hand the request to the workers once the current transaction is committed."""

    def send() -> None:
        requests.save(request, owner=str(owner_id))
        _send(request)

    transaction.on_commit(send)


def stop(*, request_id: str) -> None:
    """The worker drops the request at its next step. What was written is kept."""
    requests.ask_to_stop(request_id)


def settle(*, request_id: str) -> None:
    """Tell everyone who asked how the request ended; it is then out of recovery's hands. Idempotent."""
    transcript = requests.transcript(request_id)
    if transcript.is_finished:
        request_settled.send(sender=None, request_id=request_id, transcript=transcript)
        requests.forget(request_id)


def recover(*, now: float | None = None) -> list[str]:
    """Send again what a dead worker or a lost message left behind; returns the request ids.

    A request whose deadline has passed is ended, a finished one that nobody settled is settled.
    """
    now = now or time.time()
    records = requests.live_records()
    alive = {lease.worker_id for lease in queries.leases()} if records else set()
    sent = []
    for record in records:
        if record.state == "done":
            settle(request_id=record.request_id)
        elif _is_orphan(record, alive, now) and _retry(record, now):
            sent.append(record.request_id)
    return sent


def publish_deployments() -> None:
    """Write the desired deployments where the workers look."""
    wanted = {spec.name: spec.to_json() for spec in map(queries.spec_of, queries.enabled_deployments())}
    published = queries.published_specs()
    if wanted == published:
        return
    with client().pipeline() as pipe:
        pipe.delete(names.DEPLOYMENTS_KEY)
        if wanted:
            pipe.hset(names.DEPLOYMENTS_KEY, mapping=wanted)
        pipe.execute()


def deploy(*, version: ModelVersion, name: str) -> Deployment:
    """Let `name` be answered by `version`. Workers load it as soon as they see it."""
    context_length = min(version.manifest.get("context_length", 2048), settings.MAX_CONTEXT_LENGTH)
    deployment, _ = Deployment.objects.update_or_create(
        name=name, defaults={"version": version, "context_length": context_length, "is_enabled": True}
    )
    transaction.on_commit(publish_deployments)
    return deployment


def _send(request: InferenceRequest) -> None:
    current_app.send_task(
        names.INFER_TASK,
        args=[request.request_id, request.attempt],
        queue=names.queue_name(request.deployment),
        ignore_result=True,
    )


# A message may wait in a long queue; it is lost only when the queue is empty and nobody has claimed it.
_CLAIM_TIME = 5.0


def _is_orphan(record: requests.Record, alive: set[str], now: float) -> bool:
    if record.state == "running":
        return record.worker not in alive
    return now - record.queued_at > _CLAIM_TIME


def _retry(record: requests.Record, now: float) -> bool:
    request = requests.payload_of(record.request_id)
    if request is None:
        return False
    if now > request.deadline:
        requests.fail(record.request_id, ErrorType.DEADLINE_EXCEEDED, "The time for this answer ran out.")
        settle(request_id=record.request_id)
        return False
    if record.state == "queued" and queries.queue_length(request.deployment):
        return False
    resumed = requests.retry(record)
    if resumed is None:
        return False
    log.warning("request sent again", request_id=record.request_id, attempt=resumed.attempt, worker=record.worker)
    _send(resumed)
    return True
