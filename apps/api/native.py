"""Our own REST API under /api/v1; errors look as in the OpenAI-compatible one."""

from dataclasses import asdict
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import NinjaAPI

from apps.accounts.models import APIKey, Scope
from apps.api import errors
from apps.api.auth import KeyAuth
from apps.api.classify import classify
from apps.api.idempotency import ticket_of
from apps.api.parser import JSONParser
from apps.api.schemas import ClassifyIn
from apps.serving.permissions import may_see_request
from apps.serving.timeline import Timeline, timeline

api = NinjaAPI(
    title="DeepSeek Web",
    version="1",
    urls_namespace="api-v1",
    parser=JSONParser(),
    docs_url=None,
    openapi_url=None,
)
errors.install(api)


@api.post("/classify", auth=KeyAuth(Scope.CLASSIFY))
async def create_classification(request: HttpRequest, payload: ClassifyIn) -> dict[str, Any]:
    return await classify(request.auth, payload, await ticket_of(request))  # type: ignore[attr-defined]


@api.get("/requests/{request_id}", auth=KeyAuth(Scope.REQUESTS))
async def request_timeline(request: HttpRequest, request_id: str) -> dict[str, Any]:
    """What happened to a request and when, for its owner and administrators, for an hour after its end."""
    found = await sync_to_async(timeline)(request_id)
    if found is None or not _may_see(request.auth, found):  # type: ignore[attr-defined]
        raise errors.APIError(404, "This request is gone or never was.", kind="not_found", param="request_id")
    return _as_json(found)


def _may_see(key: APIKey, found: Timeline) -> bool:
    """What an administrator sees of others, only a key of the scope admin does."""
    is_own = found.owner == str(key.owner_id)
    return is_own or (Scope.ADMIN in key.scopes and may_see_request(key.owner, found))


def _as_json(found: Timeline) -> dict[str, Any]:
    values = asdict(found)
    del values["owner"]
    return values
