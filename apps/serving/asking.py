"""Requests that a process sends and follows itself, on its event loop: the APIs. One round trip to Redis each way,
no thread, no database; routing goes by this process's snapshot."""

import asyncio
from contextlib import aclosing
from typing import Any

import redis
from asgiref.sync import sync_to_async

from apps.serving import requests, router, services, snapshot
from apps.serving.gates import Admit, Gate
from apps.serving.hub import hub
from apps.serving.replies import Answer, Events, replies
from contracts import names
from contracts.logs import note
from contracts.messages import ErrorType, Event, InferenceRequest

_STOPPED = {"type": ErrorType.INTERNAL, "message": "The request was stopped."}
_stopping: set[asyncio.Task[Any]] = set()


async def submit(
    *,
    name: str,
    task: str,
    inputs: dict[str, Any],
    owner_id: object,
    parameters: dict[str, Any] | None = None,
    sticky: str = "",
    request_id: str = "",
    keep: int = 0,
    is_streamed: bool = False,
    admit: Admit | None = None,
) -> InferenceRequest:
    """Send a request to the deployment `name`. `wait` or `give_up` has to follow for one that is not streamed.

    Requests with the same `sticky` find their prefix again. A `request_id` that is there already is not sent again:
    its answer is the answer; it is kept for `keep` seconds (0: as long as any). Raises UnknownDeployment, WrongTask,
    NoWorker, ValueError(`field: reason`) for parameters, and what the gate of `admit` raises.
    """
    if request_id and (known := await _known(request_id)):
        return known
    if not snapshot.is_fresh():
        await sync_to_async(services.refresh, thread_sensitive=False)()
    target = services.route(name, task=task, sticky=sticky)
    request = services.build_request(
        target=target,
        inputs=inputs,
        parameters=parameters,
        tenant=str(owner_id),
        conversation=sticky,
        request_id=request_id,
        is_streamed=is_streamed,
    )
    waiting = replies()
    if not (is_streamed or keep):
        waiting.expect(request.request_id)
    gate = admit(request, target.context_length) if admit else None
    try:
        request = await _save(request, owner=str(owner_id), limit=target.limit, keep=keep, gate=gate)
    except BaseException as error:
        waiting.forget(request.request_id)
        if isinstance(error, asyncio.CancelledError):
            stop_behind(request.request_id)
        raise
    note(request_id=request.request_id, revision=request.revision, owner=str(owner_id))
    return request


async def wait(request_id: str, *, is_kept: bool = False) -> Events:
    """All events of an answer, to its end. When the caller is cancelled the worker stops, unless the request `is_kept`:
    then somebody may come back for the answer, and it is this process or another that has asked for it first."""
    if is_kept:
        async with aclosing(hub().follow(request_id)) as batches:
            return [(event, data) async for entries in batches for _, event, data in entries]
    try:
        return await replies().wait(request_id)
    except asyncio.CancelledError:
        stop_behind(request_id)
        raise
    finally:
        replies().forget(request_id)


async def ask(
    *,
    name: str,
    task: str,
    inputs: dict[str, Any],
    owner_id: object,
    request_id: str = "",
    keep: int = 0,
    admit: Admit | None = None,
) -> tuple[InferenceRequest, Answer]:
    """Send a request of a task that answers in one piece, and wait for that: RESULT and DONE, or ERROR.

    Raises what `submit` raises.
    """
    request = await submit(name=name, task=task, inputs=inputs, owner_id=owner_id, request_id=request_id, keep=keep,
                           admit=admit)  # fmt: skip
    answer = dict(await wait(request.request_id, is_kept=bool(keep)))
    if Event.RESULT not in answer:
        answer.setdefault(Event.ERROR, dict(_STOPPED))
    return request, answer


def give_up(request_id: str) -> None:
    """Nobody will wait for a request that was sent."""
    replies().forget(request_id)
    stop_behind(request_id)


def stop_behind(request_id: str) -> None:
    """The caller is going; the task has to be held by somebody until it is done."""
    stopping = asyncio.ensure_future(sync_to_async(services.stop, thread_sensitive=False)(request_id=request_id))
    _stopping.add(stopping)
    stopping.add_done_callback(_stopping.discard)


async def _known(request_id: str) -> InferenceRequest | None:
    try:
        return await requests.known(request_id)
    except redis.RedisError as error:
        raise services.no_redis(error) from error


async def _save(request: InferenceRequest, *, owner: str, limit: int, keep: int, gate: Gate | None) -> InferenceRequest:
    """The request; if another process was faster with this id, that one's."""
    worker = router.choose_worker(request.revision, snapshot.current().leases, request.conversation)
    queue = names.queue_name(request.revision, worker)
    try:
        channel = await replies().listen()
        saved = await requests.save_and_send(
            request, owner=owner, queue=queue, limit=limit, reply=channel, keep=keep, gate=gate
        )
    except (redis.RedisError, TimeoutError) as error:
        raise services.no_redis(error) from error
    if saved is None:
        raise await sync_to_async(services.full, thread_sensitive=False)(request.revision, limit)
    return saved
