"""The hub hands every subscriber every entry once, in order."""

import asyncio
import json
from typing import Any

import pytest
import redis.asyncio

from apps.serving.connection import client
from apps.serving.hub import StreamHub
from contracts import names


def add(request_id: str, seq: int, event: str = "delta") -> None:
    data = {"text": str(seq), "token_ids": [seq]}
    client().xadd(names.stream_key(request_id), {"event": event, "data": json.dumps(data)}, id=f"{seq}-0")


async def collect(hub: StreamHub, request_id: str, after: int = 0) -> list[int]:
    return [seq async for entries in hub.follow(request_id, after) for seq, _, _ in entries]


async def test_entries_before_and_after_subscribing() -> None:
    hub = StreamHub()
    add("a", 1)
    reading = asyncio.create_task(collect(hub, "a"))
    await asyncio.sleep(0.05)
    add("a", 2)
    add("a", 3, "done")
    assert await asyncio.wait_for(reading, 5) == [1, 2, 3]
    await hub.close()


async def test_resume_misses_nothing_and_repeats_nothing() -> None:
    hub = StreamHub()
    for seq in range(1, 6):
        add("a", seq)
    reading = asyncio.create_task(collect(hub, "a", after=3))
    await asyncio.sleep(0.05)
    add("a", 6, "done")
    assert await asyncio.wait_for(reading, 5) == [4, 5, 6]
    await hub.close()


async def test_several_tabs_see_the_same_from_where_they_are() -> None:
    hub = StreamHub()
    for seq in range(1, 4):
        add("a", seq)
    starts = [2, 0, 3, 1]
    readers = []
    for after in starts:
        readers.append(asyncio.create_task(collect(hub, "a", after)))
        await asyncio.sleep(0.03)
    for seq in range(4, 30):
        add("a", seq)
    add("a", 30, "done")
    for after, reader in zip(starts, readers, strict=True):
        assert await asyncio.wait_for(reader, 5) == list(range(after + 1, 31))
    await hub.close()


async def test_second_stream_wakes_a_blocked_reader() -> None:
    hub = StreamHub()
    first = asyncio.create_task(collect(hub, "a"))
    await asyncio.sleep(0.1)  # the reader blocks on stream a alone
    second = asyncio.create_task(collect(hub, "b"))
    await asyncio.sleep(0.1)
    add("b", 1, "done")
    assert await asyncio.wait_for(second, 2) == [1]
    add("a", 1, "done")
    assert await asyncio.wait_for(first, 2) == [1]
    assert hub._streams == {}
    await hub.close()


async def test_subscriber_whose_wake_is_lost_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = StreamHub()
    first = asyncio.create_task(collect(hub, "a"))
    await asyncio.sleep(0.1)

    async def lost(*args: object, **kwargs: object) -> None:
        raise redis.ConnectionError("Connection closed by server.")

    monkeypatch.setattr(redis.asyncio.client.Pipeline, "execute", lost)
    second = asyncio.create_task(collect(hub, "b"))
    await asyncio.sleep(0.1)
    add("b", 1, "done")
    assert await asyncio.wait_for(second, 5) == [1]
    add("a", 1, "done")
    assert await asyncio.wait_for(first, 5) == [1]
    await hub.close()


async def test_reader_starts_again_after_all_have_left() -> None:
    hub = StreamHub()
    for request_id in ("a", "b", "c"):
        add(request_id, 1, "done")
        assert await asyncio.wait_for(collect(hub, request_id), 5) == [1]
        await asyncio.sleep(0.05)
    await hub.close()


async def test_user_events_begin_now() -> None:
    hub = StreamHub()
    key = names.user_events_key(7)
    client().xadd(key, {"event": "changed", "data": '{"n": 1}'})
    events = hub.follow_user(7)
    heard = asyncio.create_task(anext(events))
    await asyncio.sleep(0.1)
    client().xadd(key, {"event": "changed", "data": '{"n": 2}'})
    assert [data for _, _, data in await asyncio.wait_for(heard, 5)] == [{"n": 2}]
    await events.aclose()
    await hub.close()


@pytest.mark.parametrize(("ago", "told"), [(5.0, [{"n": 1}, {"n": 2}]), (0.0, [{"n": 2}])])
async def test_user_events_of_a_while_ago_are_told_too(ago: float, told: list[dict[str, int]]) -> None:
    """Also to who comes to a stream that others follow already."""
    key, hub = names.user_events_key(8), StreamHub()
    other = hub.follow_user(8)
    waiting = asyncio.create_task(anext(other))
    await asyncio.sleep(0.1)
    client().xadd(key, {"event": "changed", "data": '{"n": 1}'})
    await asyncio.wait_for(waiting, 5)
    events, heard = hub.follow_user(8, ago), []
    collecting = asyncio.create_task(_into(heard, events))
    await asyncio.sleep(0.1)
    client().xadd(key, {"event": "changed", "data": '{"n": 2}'})
    async with asyncio.timeout(5):
        while {"n": 2} not in heard:
            await asyncio.sleep(0.01)
    assert heard == told
    collecting.cancel()
    await other.aclose()
    await hub.close()


async def _into(heard: list[Any], events: Any) -> None:
    async for entries in events:
        heard += [data for _, _, data in entries]


async def test_request_that_redis_has_lost_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.serving.hub._SILENCE", 0.1)
    hub = StreamHub()
    client().hset(names.request_key("a"), "state", "running")
    add("a", 1)
    events = hub.follow("a")
    assert [entry[0] for entry in await anext(events)] == [1]
    waiting = asyncio.create_task(anext(events))
    await asyncio.sleep(0.3)
    assert not waiting.done()  # silence alone is no loss
    client().flushdb()
    ((seq, event, data),) = await asyncio.wait_for(waiting, 5)
    assert (seq, event, data["type"]) == (2, "error", "internal")
    await events.aclose()
    await hub.close()


async def test_reader_who_comes_back_behind_the_end_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.serving.hub._SILENCE", 0.1)
    hub = StreamHub()
    add("a", 1)
    add("a", 2, "done")
    assert await asyncio.wait_for(collect(hub, "a", after=2), 5) == []
    await hub.close()
