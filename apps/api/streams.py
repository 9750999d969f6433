"""The stream of a request as a client of an API follows it, whole or in server-sent events."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse

from apps.api.errors import APIError, worker_error
from apps.serving import asking
from apps.serving.hub import Entry, hub
from apps.serving.replies import Events
from contracts.messages import Event

_LAST = (Event.DONE, Event.ERROR)


@dataclass(slots=True)
class Whole:
    """An answer put together."""

    text: str = ""
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    outcome: dict[str, Any] = field(default_factory=dict)

    @property
    def finish_reason(self) -> str:
        return finish_reason(self.outcome)


def whole_of(events: Events) -> Whole:
    """Raises APIError for an error event."""
    whole = Whole()
    for event, data in events:
        if event == Event.ERROR:
            raise worker_error(data)
        if event == Event.DELTA:
            whole.text += data["text"]
            whole.logprobs += data.get("logprobs") or []
        elif event == Event.DONE:
            whole.outcome = data
    return whole


async def follow(request_id: str, *, after: int = 0, is_kept: bool = False) -> AsyncGenerator[Entry, None]:
    """Entries behind seq `after`, to the last. Raises APIError for an error event.

    A reader that leaves early stops the worker, unless the request `is_kept`: then it may come back for the rest.
    """
    finished = False
    try:
        async with aclosing(hub().follow(request_id, after)) as batches:
            async for entries in batches:
                for entry in entries:
                    finished = finished or entry[1] in _LAST
                    if entry[1] == Event.ERROR:
                        raise worker_error(entry[2])
                    yield entry
    finally:
        if not finished and not is_kept:
            asking.stop_behind(request_id)


def last_event_id(request: HttpRequest) -> int:
    """The seq that a client has seen last. Raises APIError."""
    said = request.headers.get("Last-Event-ID") or "0"
    if not (said.isascii() and said.isdigit() and len(said) < 16):
        raise APIError(400, "Last-Event-ID: is not the id of an event.", kind="invalid_request_error",
                       param="Last-Event-ID")  # fmt: skip
    return int(said)


async def sse_response(chunks: AsyncGenerator[bytes, None], headers: dict[str, str]) -> StreamingHttpResponse:
    """The answer starts when there is a first chunk: what is refused before that is an HTTP status. Raises APIError."""
    first = await anext(chunks, b"")
    response = StreamingHttpResponse(_chain(first, chunks), content_type="text/event-stream; charset=utf-8")
    for name, value in {**headers, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}.items():
        response[name] = value
    return response


async def _chain(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    except APIError as error:
        # The status is already sent; the error object goes where the next chunk would.
        yield b"data: " + json.dumps(error.body).encode() + b"\n\n"
    finally:
        await rest.aclose()


def sse(data: dict[str, Any], *, seq: int = 0, event: str = "") -> bytes:
    """One event. With a `seq` a client that has seen it need not get it again."""
    head = (f"id: {seq}\n" if seq else "") + (f"event: {event}\n" if event else "")
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def finish_reason(outcome: dict[str, Any]) -> str:
    # OpenAI has no word for an aborted answer; what is there is complete as far as it goes.
    return "length" if outcome.get("finish_reason") == "length" else "stop"


def usage(*outcomes: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's usage object, summed."""
    prompt, completion, cached = (
        sum(outcome.get(name, 0) for outcome in outcomes)
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens")
    )
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
