"""Idempotency-Key: the same POST twice is one request, and one thing made.

For what a worker answers the header is bound to the id of the request before that is sent, and a request that is there
is not sent again: a process that ends between the two leaves a key whose next use sends the request (`ticket_of`). For
what is stored the answer itself is kept (`once`). Either can be had for a day.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import redis
import structlog
from django.http import HttpRequest
from ninja import Schema

from apps.api.errors import APIError
from apps.serving import services
from apps.serving.connection import client
from apps.serving.replies import replies
from contracts import names

log = structlog.get_logger()
KEEP = 24 * 3600  # seconds
_WORKING = 60  # seconds that a key waits for an answer that never comes
_FORM = re.compile(r"[\x21-\x7e]{1,255}")

# KEYS the idempotency key; ARGV digest of the body, request id, seconds. Answers what the key was first used for.
_CLAIM = """
local known = redis.call('GET', KEYS[1])
if known then return known end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'EX', ARGV[3])
return ARGV[1] .. ' ' .. ARGV[2]
"""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Under which id a request is to be sent, and for how long its answer is kept. Empty without the header."""

    request_id: str = ""
    keep: int = 0  # seconds

    def nth(self, place: int) -> "Ticket":
        """For a POST that becomes several requests."""
        if not self.request_id or not place:
            return self
        return Ticket(uuid5(UUID(self.request_id), str(place)).hex, self.keep)


async def ticket_of(request: HttpRequest) -> Ticket:
    """Raises APIError: 400 for a header that is no key, 422 for a key that was used for something else."""
    name = _name(request)
    if not name:
        return Ticket()
    body = _digest(request)
    try:
        known = await replies().run(_CLAIM, [name], [body, services.new_request_id(), KEEP])
    except redis.RedisError as error:
        raise services.no_redis(error) from error
    return Ticket(_said_for(body, str(known)), KEEP)


def once(request: HttpRequest, act: Callable[[], Schema]) -> Any:
    """What `act` makes, or what it made when this key came first; then without the fields that its `told_once` names.

    Raises APIError: 400 and 422 as ticket_of, 409 while the first is still at it. What `act` raises frees the key. A
    process that ends in between leaves a key that is refused for a minute.
    """
    name = _name(request)
    if not name:
        return act()
    body = _digest(request)
    if not client().set(name, f"{body} ", nx=True, ex=_WORKING):
        return _made_before(_said_for(body, client().get(name) or f"{body} "))
    try:
        made = act()
    except BaseException:
        client().delete(name)
        raise
    kept = made.model_copy(update=dict.fromkeys(getattr(made, "told_once", ()))).model_dump_json()
    try:
        client().set(name, f"{body} {kept}", ex=KEEP)
    except redis.RedisError as error:  # it is made all the same, and its maker has to know
        log.warning("answer not kept for its Idempotency-Key", error=str(error))
    return made


def _made_before(answer: str) -> Any:
    if not answer:
        message = "The request with this Idempotency-Key is still at work. Send it again in a moment."
        raise APIError(409, message, kind="idempotency_error", param="Idempotency-Key", code="idempotency_key_in_use")
    return json.loads(answer)


def _name(request: HttpRequest) -> str:
    """Of the key in Redis; empty without the header. Raises APIError for a header that is no key."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not _FORM.fullmatch(key):
        message = "Idempotency-Key: takes 1 to 255 visible ASCII characters."
        raise APIError(400, message, kind="invalid_request_error", param="Idempotency-Key")
    owner = request.auth.owner_id  # type: ignore[attr-defined]
    return names.idempotency_key(owner, hashlib.sha256(key.encode()).hexdigest())


def _said_for(body: str, known: str) -> str:
    """What the key stands for. Raises APIError when it was for another body."""
    known_body, _, said = known.partition(" ")
    if known_body != body:
        message = "This Idempotency-Key was used for another request within the last 24 hours. Use a new one."
        raise APIError(422, message, kind="idempotency_error", param="Idempotency-Key", code="idempotency_key_reused")
    return said


def _digest(request: HttpRequest) -> str:
    """Of the address and what the body says, however it is written."""
    said = json.dumps([request.path, json.loads(request.body or b"null")], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()
