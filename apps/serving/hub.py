"""One reader of Redis Streams for a whole web process.

A single task blocks in one XREAD over every stream that somebody in this process waits for, and hands the
entries to their queues. Adding a stream writes to the hub's own wake-up stream, which is part of the same
call. A subscriber says the last seq it saw and gets everything after it, once, in order.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any

import redis.exceptions
import structlog

from apps.serving.connection import async_client, one_per_loop
from contracts import names
from contracts.messages import ErrorType, Event

log = structlog.get_logger()

Entry = tuple[int, str, dict[str, Any]]  # seq, event, data

# Between two reads. Twenty frames a second look continuous, and every frame costs the cores that the model
# needs: with 0.01 s tabs got 0.75 of the engine's own tokens/s at 8 streams, with 0.05 s they get 0.93.
_COALESCE = 0.05
_BLOCK_MS = 2000  # below the 5 s after which the client takes the server for dead
# Without an entry for so long, a request is looked for: Redis may have lost its data. In seconds.
_SILENCE = 5.0
_LOST = {"type": ErrorType.INTERNAL, "message": "The stream of this answer was lost. Ask again."}
_LAST_EVENTS = (Event.DONE, Event.ERROR)


@dataclass(slots=True)
class _Stream:
    cursor: str  # id of the last entry that was handed out
    queues: set["asyncio.Queue[list[Entry]]"] = field(default_factory=set)


class StreamHub:
    """Create one per event loop with `hub()`."""

    def __init__(self) -> None:
        self._redis = async_client()
        self._streams: dict[str, _Stream] = {}
        self._wake_key = names.wake_key(uuid.uuid4().hex)
        self._wake_cursor = "0-0"
        self._is_resting = False
        self._reader: asyncio.Task[None] | None = None

    async def follow(self, request_id: str, after: int = 0) -> AsyncGenerator[list[Entry], None]:
        """Entries of a request after seq `after`; ends behind its last event.

        When Redis has lost the request, with an error event that only this subscriber sees.
        """
        seen = after
        async with aclosing(self._follow(names.stream_key(request_id), f"{after}-0", floor=after)) as batches:
            async for entries in batches:
                if not entries:
                    if await self._is_lost(request_id):
                        yield [(seen + 1, Event.ERROR, _LOST)]
                        return
                    if await self._is_over(request_id, seen):
                        return
                    continue
                seen = entries[-1][0]
                yield entries
                if entries[-1][1] in _LAST_EVENTS:
                    return

    async def follow_user(self, user_id: object, ago: float = 0.0) -> AsyncGenerator[list[Entry], None]:
        """What happens to the things of a user from so many seconds ago on; never ends by itself."""
        key = names.user_events_key(user_id)
        newest = await _whole(self._redis.xrevrange(key, count=1))
        after = newest[0][0] if newest else "0-0"
        if ago:
            after = min(after, f"{int(1000 * (time.time() - ago))}-0", key=_order)
        async with aclosing(self._follow(key, after)) as batches:
            async for entries in batches:
                if entries:
                    yield entries

    async def _is_lost(self, request_id: str) -> bool:
        try:
            return not await _whole(self._redis.exists(names.request_key(request_id), names.stream_key(request_id)))
        except redis.exceptions.RedisError:
            return False  # ask again later

    async def _is_over(self, request_id: str, seen: int) -> bool:
        """Whether who has seen that much has seen the end: a reader may come back behind it."""
        try:
            newest = await _whole(self._redis.xrevrange(names.stream_key(request_id), count=1))
        except redis.exceptions.RedisError:
            return False
        return bool(newest) and newest[0][1]["event"] in _LAST_EVENTS and _order(newest[0][0])[0] <= seen

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
        await self._redis.aclose()

    async def _follow(self, key: str, after: str, floor: int = -1) -> AsyncGenerator[list[Entry], None]:
        queue: asyncio.Queue[list[Entry]] = asyncio.Queue()
        stream = self._streams.setdefault(key, _Stream(cursor=after))
        stream.queues.add(queue)
        # The hub hands out what comes behind its cursor; what lies between `after` and it is read here.
        joined_at = stream.cursor
        try:
            self._start()
            if _order(after) < _order(joined_at):
                if missed := await _whole(self._redis.xrange(key, f"({after}", joined_at)):
                    yield [_entry(*row) for row in missed]
            else:
                await self._wake()
            while True:
                try:
                    batch = await asyncio.wait_for(queue.get(), _SILENCE)
                except TimeoutError:
                    yield []
                    continue
                # Another subscriber may be replaying what this one has seen.
                if entries := [entry for entry in batch if entry[0] > floor]:
                    yield entries
        finally:
            stream.queues.discard(queue)
            if not stream.queues and self._streams.get(key) is stream:
                del self._streams[key]

    def _start(self) -> None:
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(), name="stream-hub")

    async def _wake(self) -> None:
        """Have the reader read this stream too, now. Without Redis it does so when it reads again, and so it does when
        it rests between two reads."""
        if self._is_resting:
            return
        with suppress(redis.exceptions.RedisError):
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.xadd(self._wake_key, {"wake": "1"}, maxlen=1)
                pipe.expire(self._wake_key, 3600)
                await _whole(pipe.execute())

    async def _read(self) -> None:
        """Hand entries out for as long as somebody waits for any."""
        while self._streams:
            try:
                await self._read_once()
            except redis.exceptions.RedisError as error:
                log.warning("stream hub lost Redis, trying again", error=str(error))
                await asyncio.sleep(1)

    async def _read_once(self) -> None:
        cursors = {key: stream.cursor for key, stream in self._streams.items()}
        answer = await _whole(self._redis.xread({self._wake_key: self._wake_cursor, **cursors}, block=_BLOCK_MS))
        for key, rows in answer or []:
            self._hand_out(key, rows)
        self._is_resting = True
        try:
            await asyncio.sleep(_COALESCE)
        finally:
            self._is_resting = False

    def _hand_out(self, key: str, rows: list[tuple[str, dict[str, str]]]) -> None:
        if key == self._wake_key:
            self._wake_cursor = rows[-1][0]
        elif stream := self._streams.get(key):
            stream.cursor = rows[-1][0]
            entries = [_entry(*row) for row in rows]
            for queue in stream.queues:
                queue.put_nowait(entries)


async def _whole(call: Awaitable[Any]) -> Any:
    """Let a call to Redis end by itself even when the caller is cancelled: a client cancelled while it
    connects swallows the cancellation, and the caller would wait for ever."""
    return await asyncio.shield(asyncio.ensure_future(call))


def _entry(entry_id: str, fields: dict[str, str]) -> Entry:
    return _order(entry_id)[0], fields["event"], json.loads(fields["data"])


def _order(entry_id: str) -> tuple[int, int]:
    first, _, second = entry_id.partition("-")
    return int(first), int(second)


hub = one_per_loop(StreamHub)
