"""The socket of a browser tab: subscribe to streams of requests, stop them.

`?ago=` are the milliseconds since the tab last heard: what happened to its person since then is told first.
Client to server: {"command": "subscribe", "request_id", "after"}, {"command": "unsubscribe", "request_id"},
{"command": "stop", "request_id"}, {"command": "watch"} (administrators), {"command": "ping"}. Server to client:
{"type": "entries", "request_id", "entries": [[seq, event, data]]}, {"type": "error", "code", "message",
"request_id"?}, {"type": "pong"}, {"type": "conversation", "conversation", "action"}, {"type": "console", "what"},
{"type": "quota", "scope", "subject", "metric", "window", "used", "amount", "text"} (a limit is nearly used up),
{"type": "notice", "unread", "new"} (something was told, or read).
What is not that closes the socket with a reason. Nothing here costs anything, so viewers may do all of it. A socket
is closed when its person's rights change or a session of theirs ends: the tab comes back and is looked at anew.
"""

import asyncio
import json
import re
import time
from collections import deque
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import HttpRequest
from django.utils import translation

from apps.accounts.permissions import is_administrator
from apps.serving import requests, services
from apps.serving.events import RIGHTS_CHANGED
from apps.serving.hub import Entry, hub
from apps.serving.sentences import translated
from contracts import names
from contracts.messages import Event

log = structlog.get_logger()

CLOSE_SIGNED_OUT = 4401
CLOSE_BAD_COMMAND = 4400
CLOSE_RIGHTS_CHANGED = 4403
CLOSE_TOO_MUCH = 4429

_MAX_FRAME = 4096  # characters; the longest command has about a hundred
_MAX_COMMANDS = 60  # in ten seconds
_MAX_STREAMS = 32
_LONGEST_AGO = 60.0  # seconds


class StreamConsumer(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._times: deque[float] = deque(maxlen=_MAX_COMMANDS)
        user = self.scope["user"]
        await self.accept()
        if not user.is_authenticated:
            await self.close(code=CLOSE_SIGNED_OUT, reason="sign in first")
            return
        self._user_id, self._is_administrator = str(user.pk), is_administrator(user)
        self._language = language_of(self.scope)
        self._tasks[""] = asyncio.create_task(self._follow_events(self._user_id, _ago(self.scope)))

    async def disconnect(self, code: int) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._is_too_much(text_data):
            await self.close(code=CLOSE_TOO_MUCH, reason="too much at once")
            return
        command = _parse(text_data)
        if command is None:
            await self.close(code=CLOSE_BAD_COMMAND, reason="not a command")
            return
        await getattr(self, f"command_{command['command']}")(command)

    async def command_ping(self, command: dict[str, Any]) -> None:
        await self._send(type="pong")

    async def command_watch(self, command: dict[str, Any]) -> None:
        """What administrators do; nobody else is told, nor that there is anything."""
        if self._is_administrator and names.ADMINISTRATORS not in self._tasks:
            self._tasks[names.ADMINISTRATORS] = asyncio.create_task(self._follow_events(names.ADMINISTRATORS))

    async def command_subscribe(self, command: dict[str, Any]) -> None:
        request_id = command["request_id"]
        if not await self._is_mine(request_id):
            return
        if len(self._tasks) > _MAX_STREAMS:
            await self.close(code=CLOSE_TOO_MUCH, reason="too many streams")
            return
        self._drop(request_id)
        self._tasks[request_id] = asyncio.create_task(self._follow(request_id, command["after"]))

    async def command_unsubscribe(self, command: dict[str, Any]) -> None:
        self._drop(command["request_id"])

    async def command_stop(self, command: dict[str, Any]) -> None:
        if await self._is_mine(command["request_id"]):
            await sync_to_async(services.stop, thread_sensitive=False)(request_id=command["request_id"])

    def _is_too_much(self, text: str | None) -> bool:
        now = time.monotonic()
        self._times.append(now)
        hurried = len(self._times) == _MAX_COMMANDS and now - self._times[0] < 10
        return hurried or len(text or "") > _MAX_FRAME

    async def _is_mine(self, request_id: str) -> bool:
        """A stranger hears the same as somebody asking for a request that does not exist."""
        owner = await sync_to_async(requests.owner_of, thread_sensitive=False)(request_id)
        if owner == self._user_id:
            return True
        await self._send(
            type="error", code="not_found", message="This stream is gone or never was.", request_id=request_id
        )
        return False

    def _drop(self, request_id: str) -> None:
        if task := self._tasks.pop(request_id, None):
            task.cancel()

    async def _follow(self, request_id: str, after: int) -> None:
        async for entries in hub().follow(request_id, after):
            await self._send(type="entries", request_id=request_id, entries=[self._shown(one) for one in entries])
        self._tasks.pop(request_id, None)

    async def _follow_events(self, listener: str, ago: float = 0.0) -> None:
        async for entries in hub().follow_user(listener, ago):
            for _, _, data in entries:
                if data["type"] == RIGHTS_CHANGED:
                    await self.close(code=CLOSE_RIGHTS_CHANGED, reason="come again")
                    return
                await self._send(**self._told(data))

    def _shown(self, entry: Entry) -> Entry:
        """Token ids are for recovery; a tab needs their number only. Errors are told in the person's language."""
        seq, event, data = entry
        if event == Event.DELTA:
            data = {**data, "tokens": len(data["token_ids"])}
            del data["token_ids"]
        elif event == Event.ERROR:
            with translation.override(self._language):
                data = {**data, "message": translated(data.get("message", ""))}
        return seq, event, data

    def _told(self, data: dict[str, Any]) -> dict[str, Any]:
        """What is said in every language is told in the person's."""
        said = data.get("text")
        return {**data, "text": said.get(self._language) or said["en"]} if isinstance(said, dict) else data

    async def _send(self, **message: Any) -> None:
        await self.send(text_data=json.dumps(message, ensure_ascii=False, separators=(",", ":")))


def language_of(scope: dict[str, Any]) -> str:
    """As the pages choose it: the cookie, else what the browser asks for."""
    request = HttpRequest()
    request.COOKIES = scope.get("cookies", {})
    asked = next((value for name, value in scope["headers"] if name == b"accept-language"), b"")
    request.META["HTTP_ACCEPT_LANGUAGE"] = asked.decode("latin-1")
    return translation.get_language_from_request(request)


_COMMANDS = {
    "ping": False,
    "watch": False,
    "subscribe": True,
    "unsubscribe": True,
    "stop": True,
}  # name: needs a request


def _parse(text: str | None) -> dict[str, Any] | None:
    """A well-formed command, or None."""
    try:
        command = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    if not isinstance(command, dict) or not isinstance(command.get("command"), str):
        return None
    if command["command"] not in _COMMANDS:
        return None
    request_id, after = command.get("request_id"), command.get("after", 0)
    if _COMMANDS[command["command"]] and not (isinstance(request_id, str) and 0 < len(request_id) <= 64):
        return None
    if isinstance(after, bool) or not isinstance(after, int) or not 0 <= after < 2**53:
        return None
    return {**command, "after": after}


def _ago(scope: Any) -> float:
    """Seconds since the tab's page was asked for, or since its socket was lost: what happened meanwhile is told too."""
    found = re.fullmatch(rb"ago=(\d{1,6})", scope.get("query_string", b""))
    return min(int(found[1]) / 1000, _LONGEST_AGO) if found else 0.0
