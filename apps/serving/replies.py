"""Answers that are awaited whole, as they arrive: one subscription for a whole web process.

A request's hash names the channel of the process that waits (`reply`); the script that writes the last event
publishes what it wrote there, in the same round trip. Nothing is read back, no stream is followed. A message can be
lost with the connection, the stream cannot: who has waited for long looks there.
"""

import asyncio
import json
import uuid
from contextlib import suppress
from typing import Any

import redis.exceptions
import structlog

from apps.serving.connection import async_client, one_per_loop
from contracts import names
from contracts.messages import ErrorType, Event

log = structlog.get_logger()

Answer = dict[str, dict[str, Any]]  # event -> data
Events = list[tuple[str, dict[str, Any]]]
_LOOK_SECONDS = 2.0
_LOST = {"type": ErrorType.INTERNAL, "message": "The answer was lost. Ask again."}
_LAST_EVENTS = (Event.DONE, Event.ERROR)


class Replies:
    """Create one per event loop with `replies()`."""

    def __init__(self) -> None:
        self.channel = names.reply_channel(uuid.uuid4().hex)
        self._redis = async_client()
        self._waiting: dict[str, asyncio.Future[Events]] = {}
        self._scripts: dict[str, Any] = {}
        self._reader: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    async def listen(self) -> str:
        """The channel to be named in the request, listened to from now on. Raises TimeoutError without Redis."""
        if self._reader is None or self._reader.done():
            self._listening.clear()
            self._reader = asyncio.create_task(self._read(), name="replies")
        if not self._listening.is_set():
            await asyncio.wait_for(self._listening.wait(), 5)
        return self.channel

    def expect(self, request_id: str) -> "asyncio.Future[Events]":
        """To be called before the request is sent."""
        future = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        return future

    async def wait(self, request_id: str) -> Events:
        """All events of the answer, to its end. What was published is the last write only: an answer written in
        several is read from the stream."""
        future = self._waiting[request_id]
        while True:
            done, _ = await asyncio.wait([future], timeout=_LOOK_SECONDS)
            if done and future.result():
                return future.result()
            if events := await self._look(request_id, has_ended=bool(done)):
                return events
            if done:
                await asyncio.sleep(0.1)  # Redis does not answer

    def forget(self, request_id: str) -> None:
        self._waiting.pop(request_id, None)

    async def run(self, script: str, keys: list[str], args: list[Any]) -> Any:
        """A script on this loop's connections."""
        if script not in self._scripts:
            self._scripts[script] = self._redis.register_script(script)
        return await self._scripts[script](keys=keys, args=args)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
        await self._redis.aclose()

    async def _look(self, request_id: str, *, has_ended: bool) -> Events:
        """The answer as the stream has it; empty while it has no end."""
        key = names.stream_key(request_id)
        try:
            if not (has_ended or await self._has_ended(request_id, key)):
                return []
            rows = await self._redis.xrange(key)
        except redis.exceptions.RedisError:
            return []
        return [(fields["event"], json.loads(fields["data"])) for _, fields in rows] or [(Event.ERROR, _LOST)]

    async def _has_ended(self, request_id: str, key: str) -> bool:
        """Or is not there any more."""
        if newest := await self._redis.xrevrange(key, count=1):
            return newest[0][1]["event"] in _LAST_EVENTS
        return not await self._redis.exists(names.request_key(request_id))

    async def _read(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=False) as channel:
                    await channel.subscribe(self.channel)
                    async for message in channel.listen():
                        self._hear(message)
            except (redis.exceptions.RedisError, OSError) as error:
                log.warning("replies lost Redis, trying again", error=str(error))
                await asyncio.sleep(0.5)

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            self._listening.set()
            return
        request_id, before, *parts = message["data"].split("\x1f")
        future = self._waiting.get(request_id)
        if future is not None and not future.done():
            events = [(event, json.loads(data)) for event, data in zip(parts[::2], parts[1::2], strict=True)]
            future.set_result(events if before == "0" or _says_all(events) else [])


def _says_all(events: Events) -> bool:
    """A result or an error: what was written before does not matter."""
    return any(event in (Event.RESULT, Event.ERROR) for event, _ in events)


replies = one_per_loop(Replies)
