"""The way into the APIs, without what only pages need.

Sessions, cookies, CSRF, languages and the rest of MIDDLEWARE are about browsers; most of it is synchronous, and each
piece costs a request two changes of thread. Keys authenticate here, so what is left is one coroutine: the host is
checked, plain http is sent away where https is wanted, and the answer gets its length and safety headers.
"""

from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase, HttpResponsePermanentRedirect

PREFIXES = ("/v1/", "/api/v1/")


class APIHandler(ASGIHandler):
    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(self._respond)

    async def _respond(self, request: HttpRequest) -> HttpResponseBase:
        host = request.get_host()  # raises DisallowedHost
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            return HttpResponsePermanentRedirect(f"https://{host}{request.get_full_path()}")
        response = await self._get_response_async(request)  # type: ignore[attr-defined]
        response["X-Content-Type-Options"] = "nosniff"
        if request.is_secure() and settings.SECURE_HSTS_SECONDS:
            response["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"
        if not response.streaming and not response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]
        return response


class ByPath:
    """APIs to the short way, everything else to Django's own."""

    def __init__(self, pages: Any) -> None:
        self._pages, self._apis = pages, APIHandler()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        handler = self._apis if scope["path"].startswith(PREFIXES) else self._pages
        await handler(scope, receive, send)
