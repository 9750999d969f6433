"""Classification, and what there is to know of requests: timeline, events, stop."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.responses import Response

from apps.accounts.models import APIKey, Scope
from apps.api import errors
from apps.api.answers import Classification, RequestTimeline, Stopping
from apps.api.auth import KeyAuth, may
from apps.api.classify import classify
from apps.api.idempotency import ticket_of
from apps.api.schemas import ClassifyIn
from apps.api.site import ASKS, streams
from apps.api.streams import last_event_id, sse, sse_response
from apps.quotas.admission import headers as ratelimit_headers
from apps.serving import services
from apps.serving.hub import hub
from apps.serving.permissions import may_see_request
from apps.serving.timeline import Timeline, timeline

router = Router(tags=["Requests"])


@router.post(
    "/classify",
    auth=KeyAuth(Scope.CLASSIFY),
    response=Classification,
    openapi_extra=ASKS,
    tags=["Models that answer"],
    summary="Classify texts",
)
async def create_classification(request: HttpRequest, payload: ClassifyIn) -> Response:
    """One of `text` and `texts`; each gets its labels with scores."""
    answer = await classify(request.auth, payload, await ticket_of(request))  # type: ignore[attr-defined]
    return Response(answer, headers=ratelimit_headers())


@router.get(
    "/requests/{request_id}",
    auth=KeyAuth(Scope.REQUESTS),
    response=RequestTimeline,
    summary="Read a request's timeline",
)
async def request_timeline(request: HttpRequest, request_id: str) -> Response:
    """What happened to a request and when, for its owner and administrators: for an hour after the end of a stream, for
    a quarter of one after another answer."""
    return Response(_as_json(await _visible(request, request_id)))


@router.get(
    "/requests/{request_id}/events",
    auth=KeyAuth(Scope.REQUESTS),
    response={200: None, 204: None},
    openapi_extra=streams('{"text": "Hello"}', "The events started, delta, progress, result, done and error."),
    summary="Follow a request",
)
async def request_events(request: HttpRequest, request_id: str) -> Any:
    """What a request streams, from its beginning or behind `Last-Event-ID`; ends with the event done or error.

    204 when nothing comes behind that event or what came is not kept any more, so that an EventSource does not ask
    again. Reading it, or leaving, changes nothing of the request.
    """
    after = last_event_id(request)
    found = await _visible(request, request_id)
    if found.state == "done" and (after >= found.seq or not found.are_events_kept):
        return HttpResponse(status=204)
    return await sse_response(_events(found.request_id, after), {"X-Request-Id": found.request_id})


@router.post(
    "/requests/{request_id}/stop", auth=KeyAuth(Scope.REQUESTS), response={202: Stopping}, summary="Stop a request"
)
async def stop_request(request: HttpRequest, request_id: str) -> Response:
    """The answer ends at the next token; what was streamed stays. Stopping what has ended does nothing."""
    found = await _visible(request, request_id)
    await sync_to_async(services.stop, thread_sensitive=False)(request_id=found.request_id)
    return Response({"id": found.request_id, "stopping": found.state != "done"}, status=202)


async def _events(request_id: str, after: int) -> AsyncGenerator[bytes, None]:
    """As the worker wrote them: id is the place in the stream, event the kind, data its fields. The answer starts with
    a comment, for the first event may be long in coming."""
    yield b": open\n\n"
    async with aclosing(hub().follow(request_id, after)) as batches:
        async for entries in batches:
            for seq, event, data in entries:
                yield sse(data, seq=seq, event=event)


async def _visible(request: HttpRequest, request_id: str) -> Timeline:
    """Raises APIError 404 for what is gone, never was, or is another's."""
    found = await sync_to_async(timeline)(request_id)
    if found is None or not _may_see(request.auth, found):  # type: ignore[attr-defined]
        raise errors.not_found("This request is gone or never was.", "request_id")
    return found


def _may_see(key: APIKey, found: Timeline) -> bool:
    """What an administrator sees of others, only a key of the scope admin does."""
    is_own = found.owner == str(key.owner_id)
    return is_own or (may(key, Scope.ADMIN) and may_see_request(key.owner, found))


def _as_json(found: Timeline) -> dict[str, Any]:
    values = asdict(found)
    del values["owner"]
    return values
