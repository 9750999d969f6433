"""How much a client may send. Django stores a whole body on disk before any view asks who sent it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, parse_cookie
from django.urls import reverse

from apps.accounts.keys import authenticate_key
from apps.accounts.models import Scope
from apps.accounts.permissions import is_administrator, may_send
from apps.api.auth import may
from contracts.conversations import MOST_MB
from contracts.few_shot import MOST_EXAMPLES
from deepseek_web.handlers import PREFIXES


class _TooLarge(Exception):
    pass


class BodyLimit:
    """ASGI middleware: 413 for a body above DATA_UPLOAD_MAX_MEMORY_SIZE, said or sent. Who is signed in may send a
    larger file of texts, an administrator who uploads a model as much as a model may have."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = dict(scope["headers"])
        limit = await _limit(scope["path"], headers)
        if _said(headers) > limit:
            await _refuse(scope, send, limit)
            return
        started, received = False, 0

        async def counted() -> dict[str, Any]:
            nonlocal received
            message: dict[str, Any] = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _TooLarge
            return message

        async def watched(message: dict[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._application(scope, counted, watched)
        except _TooLarge:
            if not started:
                await _refuse(scope, send, limit)


async def _limit(path: str, headers: dict[bytes, bytes]) -> int:
    """Bytes."""
    door = _doors().get(path)
    if door and await sync_to_async(door.lets_in)(headers):
        return door.limit
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


@dataclass(frozen=True, slots=True)
class _Door:
    """An address that takes more, and from whom."""

    limit: int  # bytes
    lets_in: Callable[[dict[bytes, bytes]], bool]


@cache
def _doors() -> dict[str, _Door]:
    model, texts = settings.IMPORT_MAX_GB * 2**30, settings.CLASSIFY_MAX_FILE_MB * 2**20
    lesson, asked = (most * settings.TEACH_MAX_FILE_MB * 2**20 + 2**16 for most in (MOST_EXAMPLES, 1))
    readings = settings.ANOMALY_MAX_FILE_MB * 2**20 + 2**16
    pictures, picture = settings.SEARCH_MAX_ARCHIVE_MB * 2**20, settings.SEARCH_MAX_FILE_MB * 2**20 + 2**16
    talk = MOST_MB * 2**20 + 2**16
    return {
        reverse("console:send_conversations"): _Door(talk, _is_administrator),
        reverse("api-v1:create_adaptation"): _Door(talk, lambda headers: _has_key(headers, Scope.ADMIN)),
        reverse("console:import_model"): _Door(model, _is_administrator),
        reverse("api-v1:upload_import"): _Door(model, lambda headers: _has_key(headers, Scope.ADMIN)),
        reverse("classify:start"): _Door(texts, lambda headers: may_send(_user(headers))),
        reverse("search:upload"): _Door(pictures, lambda headers: may_send(_user(headers))),
        reverse("anomaly:upload"): _Door(readings, lambda headers: may_send(_user(headers))),
        reverse("teach:add_pictures"): _Door(lesson, lambda headers: may_send(_user(headers))),
        reverse("teach:add_clips"): _Door(lesson, lambda headers: may_send(_user(headers))),
        reverse("teach:ask"): _Door(asked, lambda headers: may_send(_user(headers))),
        reverse("api-v1:upload_readings"): _Door(readings, lambda headers: _has_key(headers, Scope.ANOMALY)),
        reverse("search:send"): _Door(picture, lambda headers: may_send(_user(headers))),
        reverse("api-v1:upload_pictures"): _Door(pictures, lambda headers: _has_key(headers, Scope.SEARCH)),
        reverse("api-v1:send_query_picture"): _Door(picture, lambda headers: _has_key(headers, Scope.SEARCH)),
        reverse("api-v1:classify_file"): _Door(texts, lambda headers: _has_key(headers, Scope.CLASSIFY)),
    }


def _has_key(headers: dict[bytes, bytes], scope: Scope) -> bool:
    scheme, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    key = authenticate_key(secret.strip()) if scheme.lower() == "bearer" else None
    return key is not None and may(key, scope) and may_send(key.owner)


def _is_administrator(headers: dict[bytes, bytes]) -> bool:
    return is_administrator(_user(headers))


def _user(headers: dict[bytes, bytes]) -> Any:
    """Who is signed in; somebody anonymous for everybody else."""
    cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(cookies.get(settings.SESSION_COOKIE_NAME))
    return get_user(request)


def _said(headers: dict[bytes, bytes]) -> int:
    """What Content-Length says; the server has refused what is no number."""
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


async def _refuse(scope: dict[str, Any], send: Any, limit: int) -> None:
    """The connection is closed: what is still being sent is not read."""
    message = f"The request is larger than the {limit:,} bytes that are taken here."
    body, kind = message.encode(), b"text/plain; charset=utf-8"
    if scope["path"].startswith(PREFIXES):
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": "request_too_large"}
        body, kind = json.dumps({"error": error}).encode(), b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
