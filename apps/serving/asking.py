"""Requests whose answer is one result: sent and awaited on the event loop, one round trip to Redis each way."""

import asyncio
from typing import Any

import redis
import structlog
from asgiref.sync import sync_to_async

from apps.serving import requests, services, snapshot
from apps.serving.replies import Answer, replies
from contracts import names
from contracts.messages import InferenceRequest

log = structlog.get_logger()
_stopping: set[asyncio.Task[Any]] = set()


async def ask(*, name: str, task: str, inputs: dict[str, Any], owner_id: object) -> tuple[InferenceRequest, Answer]:
    """Send the request to the deployment `name` and wait for its end; the worker stops when the caller is cancelled.

    Routing goes by this process's snapshot, no database is asked. Raises UnknownDeployment, WrongTask, NoWorker.
    """
    if not snapshot.is_fresh():
        await sync_to_async(services.refresh, thread_sensitive=False)()
    target = services.route(name, task=task)
    request = services.build_request(target=target, inputs=inputs, tenant=str(owner_id))
    waiting = replies()
    answer: Answer = {}
    try:
        channel = await waiting.listen()
        waiting.expect(request.request_id)
        queue = names.queue_name(request.revision)
        if not await requests.save_and_send(
            request, owner=str(owner_id), queue=queue, limit=target.limit, reply=channel
        ):
            raise await sync_to_async(services.full, thread_sensitive=False)(request.revision, target.limit)
        log.info("request accepted", request_id=request.request_id, revision=request.revision, owner=str(owner_id))
        answer = await waiting.wait(request.request_id)
    except (redis.RedisError, TimeoutError) as error:
        raise services.no_redis(error) from error
    except asyncio.CancelledError:
        _stop_behind(request.request_id)
        raise
    finally:
        waiting.forget(request.request_id)
    return request, answer


def _stop_behind(request_id: str) -> None:
    """The caller is going; the task has to be held by somebody until it is done."""
    stopping = asyncio.ensure_future(sync_to_async(services.stop, thread_sensitive=False)(request_id=request_id))
    _stopping.add(stopping)
    stopping.add_done_callback(_stopping.discard)
