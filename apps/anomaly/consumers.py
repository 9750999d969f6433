"""The socket of an asset: what comes of its sensors and detectors, as it comes (docs/anomaly.md).

Client to server: {"command": "ping"}. What is not that closes the socket with a reason. A socket is closed when its
person's rights change: the page comes back and is looked at anew.
"""

import asyncio
import json
import time
from collections import deque
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.http import Http404
from django.utils import translation

from apps.anomaly import queries
from apps.anomaly.permissions import visible_asset
from apps.serving.consumers import (
    CLOSE_BAD_COMMAND,
    CLOSE_RIGHTS_CHANGED,
    CLOSE_SIGNED_OUT,
    CLOSE_TOO_MUCH,
    language_of,
)
from apps.serving.events import RIGHTS_CHANGED
from apps.serving.hub import hub
from contracts import names

CLOSE_NOT_FOUND = 4404
_MAX_FRAME = 200  # characters
_MAX_COMMANDS = 30  # in ten seconds
_LOOK_AGAIN = 30.0  # seconds between two looks at whether the asset is still shared with its viewer


class AssetConsumer(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._times: deque[float] = deque(maxlen=_MAX_COMMANDS)
        user = self.scope["user"]
        await self.accept()
        if not user.is_authenticated:
            await self.close(code=CLOSE_SIGNED_OUT, reason="sign in first")
            return
        self._user, self._language = user, language_of(self.scope)
        self._asset_id = self.scope["url_route"]["kwargs"]["asset_id"]
        if await self._say_live():
            for follow in (self._follow_asset(), self._follow_rights(), self._look_again()):
                self._tasks.append(asyncio.create_task(follow))

    async def disconnect(self, code: int) -> None:
        for task in self._tasks:
            task.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        now = time.monotonic()
        self._times.append(now)
        hurried = len(self._times) == _MAX_COMMANDS and now - self._times[0] < 10
        if hurried or len(text_data or "") > _MAX_FRAME:
            await self.close(code=CLOSE_TOO_MUCH, reason="too much at once")
        elif _parse(text_data) == {"command": "ping"}:
            await self._send({"type": "pong"})
        else:
            await self.close(code=CLOSE_BAD_COMMAND, reason="not a command")

    async def _say_live(self) -> bool:
        """A stranger hears the same as somebody asking for an asset that does not exist."""
        found = await database_sync_to_async(self._live)()
        if found is None:
            await self.close(code=CLOSE_NOT_FOUND, reason="there is no such asset")
            return False
        await self._send(found)
        return True

    def _live(self) -> dict[str, Any] | None:
        try:
            with translation.override(self._language):
                return queries.live(visible_asset(self._user, self._asset_id))
        except Http404:
            return None

    async def _follow_asset(self) -> None:
        async for entries in hub().follow_user(names.asset_listener(self._asset_id)):
            for _, _, data in entries:
                await self._send(data)

    async def _follow_rights(self) -> None:
        async for entries in hub().follow_user(self._user.pk):
            if any(data["type"] == RIGHTS_CHANGED for _, _, data in entries):
                await self.close(code=CLOSE_RIGHTS_CHANGED, reason="come again")
                return

    async def _look_again(self) -> None:
        """Who has left the team, or whose team the asset is not shared with any more, sees it no longer."""
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            if not await self._say_live():
                return

    async def _send(self, message: dict[str, Any]) -> None:
        await self.send(text_data=json.dumps(message, ensure_ascii=False, separators=(",", ":")))


def _parse(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError):
        return None
