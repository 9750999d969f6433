"""Requests that a page waits for, in the thread that draws it. APIs wait on their event loop (asking.py)."""

import time
from typing import Any

import redis
from django.db import connection

from apps.accounts.models import APIKey, User
from apps.quotas import services as quotas
from apps.serving import requests
from apps.serving import services as serving
from apps.serving.connection import client
from apps.serving.services import Target
from contracts import names
from contracts.messages import Event

_PATIENCE = 20.0  # seconds
_BLOCK = 2.0  # seconds of one question to Redis: the client takes a server that says nothing for five for dead
_ENDS = {Event.DONE, Event.ERROR}


class NotUnderstood(ValueError):
    """The model refuses what it is asked; says why."""


def ask(target: Target, inputs: dict[str, Any], who: User | APIKey) -> dict[str, Any]:
    """The result of a request that somebody waits for. Raises what quotas.submit raises, and NotUnderstood."""
    owner_id = who.owner_id if isinstance(who, APIKey) else who.pk
    request = serving.build_request(target=target, inputs=inputs, tenant=str(owner_id), is_streamed=False)
    quotas.submit(request=request, who=who, target=target)
    transcript = ended(request.request_id, _PATIENCE)
    if transcript is None:
        serving.stop(request_id=request.request_id)
        raise serving.NoWorker("The model did not answer in time.", retry_after=5)
    if transcript.result:
        return transcript.result
    raise NotUnderstood(transcript.error.get("message") or "The answer was lost. Ask again.")


def ended(request_id: str, patience: float) -> requests.Transcript | None:
    """What a request said, once it has ended; None when that takes longer than so many seconds. Raises NoWorker.

    Meanwhile this thread keeps no connection to the database: there are few, and pages that ask no model want them.
    """
    if not connection.in_atomic_block:
        connection.close()
    ends, last = time.monotonic() + patience, "0"
    try:
        while (left := ends - time.monotonic()) > 0:
            block = max(1, int(1000 * min(left, _BLOCK)))
            read: Any = client().xread({names.stream_key(request_id): last}, block=block)
            for _, entries in read:
                last = entries[-1][0]
                if any(fields["event"] in _ENDS for _, fields in entries):
                    return requests.transcript(request_id)
    except redis.RedisError as error:
        raise serving.no_redis(error) from error
    return None
