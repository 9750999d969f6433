"""Idempotency-Key: the same POST twice is one request.

The header is bound to the id of the request before that is sent, and a request that is there is not sent again: a
process that ends between the two leaves a key whose next use sends the request. The answer can be had for a day.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from uuid import UUID, uuid5

import redis
from django.http import HttpRequest

from apps.api.errors import APIError
from apps.serving import services
from apps.serving.replies import replies
from contracts import names

KEEP = 24 * 3600  # seconds
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
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return Ticket()
    if not _FORM.fullmatch(key):
        message = "Idempotency-Key: takes 1 to 255 visible ASCII characters."
        raise APIError(400, message, kind="invalid_request_error", param="Idempotency-Key")
    body = _digest(request)
    owner = request.auth.owner_id  # type: ignore[attr-defined]
    name = names.idempotency_key(owner, hashlib.sha256(key.encode()).hexdigest())
    try:
        known = await replies().run(_CLAIM, [name], [body, services.new_request_id(), KEEP])
    except redis.RedisError as error:
        raise services.no_redis(error) from error
    known_body, _, request_id = str(known).partition(" ")
    if known_body != body:
        message = "This Idempotency-Key was used for another request within the last 24 hours. Use a new one."
        raise APIError(422, message, kind="idempotency_error", param="Idempotency-Key", code="idempotency_key_reused")
    return Ticket(request_id, KEEP)


def _digest(request: HttpRequest) -> str:
    """Of the address and what the body says, however it is written."""
    said = json.dumps([request.path, json.loads(request.body or b"null")], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()
