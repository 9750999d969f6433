"""Every HTTP request gets an id, the client's X-Request-ID or a new one, in the answer and in each line of log."""

import re
import time
import uuid
from typing import Any

import structlog

from contracts.logs import bind

log = structlog.get_logger()

_HEADER = b"x-request-id"
_USABLE = re.compile(rb"[A-Za-z0-9_.:-]{1,64}")
_QUIET = ("/healthz", "/readyz", "/metrics", "/static/")  # asked for all day long


class RequestLog:
    """ASGI middleware around everything. One line for each answer, without the query: it may hold secrets."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        http_request_id = given if _USABLE.fullmatch(given) else uuid.uuid4().hex.encode()
        started, status = time.perf_counter(), 0

        async def send_with_id(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), (_HEADER, http_request_id)]}
            await send(message)

        with bind(http_request_id=http_request_id.decode()):
            try:
                await self._application(scope, receive, send_with_id)
            finally:
                if status and not scope["path"].startswith(_QUIET):
                    seconds = round(time.perf_counter() - started, 4)
                    log.info("answered", method=scope["method"], path=scope["path"], status=status, seconds=seconds)
