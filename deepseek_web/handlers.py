"""Two ways into Django: pages in one thread, APIs in one coroutine.

Django's own handler runs each middleware of a page as a coroutine and hops to a thread and back wherever one is
synchronous; most are, and so is every view of a page.
"""

import asyncio
from contextlib import suppress
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.db import close_old_connections
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponsePermanentRedirect
from django.urls import set_script_prefix

from apps.api import errors

PREFIXES = ("/v1/", "/api/v1/")


class PageHandler(ASGIHandler):
    """MIDDLEWARE and view as under WSGI: one hop to a thread and one back."""

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)


class APIHandler(ASGIHandler):
    """Sessions, cookies, CSRF, languages and the rest of MIDDLEWARE are about browsers; here keys authenticate. What is
    left: the host is checked, plain http is sent away where https is wanted, and the answer gets its length and safety
    headers. A request that asks no database costs no thread."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        async with ThreadSensitiveContext() as context:
            try:
                await self.handle(scope, receive, send)
            finally:
                if context in SyncToAsync.context_to_thread_executor:
                    await sync_to_async(close_old_connections)()

    async def handle(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """As Django's, without `request_started`, whose receivers take a thread: they care for connections, and each
        request here that wants one has a thread of its own, without a past."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            set_script_prefix(get_script_prefix(scope))
            request, error = self.create_request(scope, body)
            if request is None:
                await self._answer(error, send)
            else:
                await self._serve(request, receive, send)

    async def _serve(self, request: HttpRequest, receive: Any, send: Any) -> None:
        """Cancels the view when the client goes away."""
        answering = asyncio.ensure_future(self._answer_to(request, send))
        listening = asyncio.ensure_future(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait([answering, listening], return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            answering.cancel()
            for task in (listening, answering):
                with suppress(asyncio.CancelledError, RequestAborted):
                    await task

    async def _answer_to(self, request: HttpRequest, send: Any) -> None:
        await self._answer(await self.run_get_response(request), send)

    async def _answer(self, response: Any, send: Any) -> None:
        """Without `request_finished`, as without `request_started`."""
        try:
            await self.send_response(response, send)
        finally:
            for close in response._resource_closers:
                close()

    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(self._respond)

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        host = request.get_host()  # raises DisallowedHost
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            return HttpResponsePermanentRedirect(f"https://{host}{request.get_full_path()}")
        response = await self._routed(request)
        response["X-Content-Type-Options"] = "nosniff"
        if request.is_secure() and settings.SECURE_HSTS_SECONDS:
            response["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"
        if not response.streaming and not response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]
        return response

    async def _routed(self, request: HttpRequest) -> HttpResponseBase:
        """Also of what no view has seen, errors are those of the APIs."""
        try:
            response: HttpResponseBase = await self._get_response_async(request)  # type: ignore[attr-defined]
        except Http404:
            return errors.unknown_address(request).response()
        if isinstance(response, HttpResponseNotAllowed):
            return errors.wrong_method(request, response["Allow"]).response()
        return response


class ByPath:
    """APIs to the one, everything else to the other."""

    def __init__(self) -> None:
        self._pages, self._apis = PageHandler(), APIHandler()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        handler = self._apis if scope["path"].startswith(PREFIXES) else self._pages
        await handler(scope, receive, send)
