"""Answers of requests that do not stream, as they arrive: one subscription for a whole web process.

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
_LOOK_SECONDS = 2.0
_STOPPED = {"type": ErrorType.INTERNAL, "message": "The request was stopped."}
_LAST_EVENTS = (Event.DONE, Event.ERROR)


class Replies:
    """Create one per event loop with `replies()`."""

    def __init__(self) -> None:
        self.channel = names.reply_channel(uuid.uuid4().hex)
        self._redis = async_client()
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
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

    def expect(self, request_id: str) -> "asyncio.Future[Answer]":
        """To be called before the request is sent."""
        future = self._waiting[request_id] = asyncio.get_running_loop().create_future()
        return future

    async def wait(self, request_id: str) -> Answer:
        """The events of the answer: RESULT and DONE, or ERROR. What was published is the last write only: an answer
        written in several is read from the stream."""
        future = self._waiting[request_id]
        while True:
            done, _ = await asyncio.wait([future], timeout=_LOOK_SECONDS)
            if done and _has_answer(future.result()):
                return future.result()
            if answer := await self._look(request_id):
                return answer if _has_answer(answer) else {**answer, Event.ERROR: dict(_STOPPED)}
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

    async def _look(self, request_id: str) -> Answer | None:
        """The answer as the stream has it."""
        try:
            rows = await self._redis.xrange(names.stream_key(request_id))
        except redis.exceptions.RedisError:
            return None
        answer = {fields["event"]: json.loads(fields["data"]) for _, fields in rows}
        return answer if any(event in answer for event in _LAST_EVENTS) else None

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
        request_id, *parts = message["data"].split("\x1f")
        future = self._waiting.get(request_id)
        if future is not None and not future.done():
            future.set_result({event: json.loads(data) for event, data in zip(parts[::2], parts[1::2], strict=True)})


def _has_answer(answer: Answer) -> bool:
    return Event.RESULT in answer or Event.ERROR in answer


replies = one_per_loop(Replies)
