"""The socket of a tab: garbage closes it, strangers learn nothing, streams arrive whole."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.utils import translation

from apps.accounts.models import User
from apps.serving import consumers, requests
from apps.serving.events import tell_user
from apps.serving.models import Deployment
from contracts.messages import ErrorType
from tests.apps.serving.test_recover import make_request
from tests.fakes import FakeWorker
from tests.sockets import SocketClient

pytestmark = pytest.mark.django_db(transaction=True)


@asynccontextmanager
async def socket(user: User | AnonymousUser, **more: Any) -> AsyncIterator[SocketClient]:
    communicator = SocketClient(consumers.StreamConsumer, user, **more)
    await communicator.connect()
    try:
        yield communicator
    finally:
        await communicator.disconnect()


async def stream_of(communicator: SocketClient, request_id: str) -> list[list[Any]]:
    entries: list[list[Any]] = []
    while not entries or entries[-1][1] not in ("done", "error"):
        message = await communicator.receive_json()
        if message["type"] == "entries" and message["request_id"] == request_id:
            entries += message["entries"]
    return entries


def text_of(entries: list[list[Any]]) -> str:
    return "".join(data["text"] for _, event, data in entries if event == "delta")


async def test_stream_arrives_whole_and_without_token_ids(worker: FakeWorker, owner: User) -> None:
    request = make_request("one two three")
    await sync_to_async(requests.save)(request, owner=str(owner.pk))
    async with socket(owner) as tab:
        await tab.send_json({"command": "subscribe", "request_id": request.request_id, "after": 0})
        worker.serve(request)
        entries = await stream_of(tab, request.request_id)
    assert text_of(entries) == "one two three"
    assert [seq for seq, _, _ in entries] == [1, 2, 3, 4, 5]
    assert [data for _, event, data in entries if event == "delta"][0] == {"text": "one", "tokens": 1}


async def test_reload_resumes_after_the_last_seq(worker: FakeWorker, owner: User) -> None:
    request = make_request("one two three")
    await sync_to_async(requests.save)(request, owner=str(owner.pk))
    worker.serve(request)
    await sync_to_async(worker.finish)()
    async with socket(owner) as tab:
        await tab.send_json({"command": "subscribe", "request_id": request.request_id, "after": 3})
        entries = await stream_of(tab, request.request_id)
    assert [(seq, event) for seq, event, _ in entries] == [(4, "delta"), (5, "done")]


async def test_stop_reaches_the_worker(worker: FakeWorker, owner: User) -> None:
    request = make_request("one two three")
    await sync_to_async(requests.save)(request, owner=str(owner.pk))
    async with socket(owner) as tab:
        await tab.send_json({"command": "stop", "request_id": request.request_id})
        await tab.send_json({"command": "ping"})
        assert await tab.receive_json() == {"type": "pong"}
    worker.engine.pause = 0.05
    worker.serve(request)  # it was stopped before a worker had it
    await sync_to_async(worker.finish)()
    transcript = await sync_to_async(requests.transcript)(request.request_id)
    assert transcript.outcome["finish_reason"] == "abort"


@pytest.mark.parametrize("person", ["member", "stranger"])
async def test_streams_of_others_do_not_exist(
    worker: FakeWorker, owner: User, person: str, request: pytest.FixtureRequest
) -> None:
    other = await sync_to_async(request.getfixturevalue)(person)
    inference = make_request("secret")
    await sync_to_async(requests.save)(inference, owner=str(owner.pk))
    async with socket(other) as tab:
        for command in ("subscribe", "stop"):
            await tab.send_json({"command": command, "request_id": inference.request_id})
            answer = await tab.receive_json()
            await tab.send_json({"command": command, "request_id": "0" * 32})
            missing = await tab.receive_json()
            assert answer["code"] == "not_found"
            assert {**missing, "request_id": ""} == {**answer, "request_id": ""}
    assert await sync_to_async(requests.live_records)()


async def test_visitor_is_sent_away() -> None:
    communicator = SocketClient(consumers.StreamConsumer, AnonymousUser())
    await communicator.connect()
    closing = await communicator.receive_output(5)
    assert (closing["type"], closing["code"]) == ("websocket.close", consumers.CLOSE_SIGNED_OUT)


GARBAGE = [
    "",
    "not json",
    "[]",
    "null",
    "1e999",
    '"subscribe"',
    '{"command": "dance"}',
    '{"command": "__init__"}',
    '{"command": ["subscribe"]}',
    '{"command": "subscribe"}',
    '{"command": "subscribe", "request_id": 5}',
    '{"command": "subscribe", "request_id": ""}',
    '{"command": "subscribe", "request_id": "a", "after": -1}',
    '{"command": "subscribe", "request_id": "a", "after": "0"}',
    '{"command": "subscribe", "request_id": "a", "after": 1e400}',
    '{"command": "subscribe", "request_id": "a", "after": true}',
    '{"command": "stop", "request_id": {"a": 1}}',
    "[" * 2000,
]


@pytest.mark.parametrize("frame", GARBAGE)
async def test_garbage_closes_with_a_reason(owner: User, frame: str) -> None:
    async with socket(owner) as tab:
        await tab.send_text(frame)
        closing = await tab.receive_output(5)
    assert (closing["type"], closing["code"]) == ("websocket.close", consumers.CLOSE_BAD_COMMAND)
    assert closing["reason"]


async def test_too_long_a_frame_closes(owner: User) -> None:
    async with socket(owner) as tab:
        await tab.send_text(json.dumps({"command": "ping", "padding": "x" * 5000}))
        closing = await tab.receive_output(5)
    assert closing["code"] == consumers.CLOSE_TOO_MUCH


async def test_flood_closes(owner: User) -> None:
    async with socket(owner) as tab:
        for _ in range(consumers._MAX_COMMANDS):
            await tab.send_json({"command": "ping"})
        outputs = [await tab.receive_output(5) for _ in range(consumers._MAX_COMMANDS)]
    assert outputs[-1]["type"] == "websocket.close"
    assert outputs[-1]["code"] == consumers.CLOSE_TOO_MUCH


async def test_tab_hears_what_happens_to_its_owner_only(owner: User, stranger: User) -> None:
    async with socket(owner) as tab:
        await asyncio.sleep(0.1)
        await sync_to_async(tell_user)(stranger.pk, type="conversation", conversation="x", action="changed")
        await sync_to_async(tell_user)(owner.pk, type="conversation", conversation="y", action="changed")
        message = await tab.receive_json()
    assert message == {"type": "conversation", "conversation": "y", "action": "changed"}


@pytest.mark.parametrize(("query", "first"), [(b"ago=5000", "x"), (b"", "y"), (b"ago=-1", "y"), (b"ago=9e9", "y")])
async def test_tab_hears_what_happened_while_its_page_was_on_its_way(owner: User, query: bytes, first: str) -> None:
    await sync_to_async(tell_user)(owner.pk, type="conversation", conversation="x", action="changed")
    async with socket(owner, query_string=query) as tab:
        await asyncio.sleep(0.1)
        await sync_to_async(tell_user)(owner.pk, type="conversation", conversation="y", action="changed")
        assert (await tab.receive_json())["conversation"] == first


@pytest.mark.parametrize(
    ("more", "language"),
    [
        ({"cookies": {"django_language": "zh-hans"}}, "zh-hans"),
        ({"headers": [(b"accept-language", b"zh-CN,zh;q=0.9")]}, "zh-hans"),
        ({}, "en"),
    ],
)
async def test_errors_are_told_in_the_language_of_the_person(
    monkeypatch: pytest.MonkeyPatch, deployment: Deployment, owner: User, more: dict[str, Any], language: str
) -> None:
    monkeypatch.setattr(consumers, "translated", lambda sentence: f"{translation.get_language()}: {sentence}")
    request = make_request("one")
    await sync_to_async(requests.save)(request, owner=str(owner.pk))
    await sync_to_async(requests.fail)(request.request_id, ErrorType.INTERNAL, "It ran out.")
    async with socket(owner, **more) as tab:
        await tab.send_json({"command": "subscribe", "request_id": request.request_id, "after": 0})
        entries = await stream_of(tab, request.request_id)
    assert [data["message"] for _, _, data in entries] == [f"{language}: It ran out."]


@pytest.mark.parametrize(("cookie", "told"), [("zh-hans", "已用完"), ("en", "used up"), ("fr", "used up")])
async def test_what_is_said_in_every_language_is_told_in_the_persons(owner: User, cookie: str, told: str) -> None:
    async with socket(owner, cookies={"django_language": cookie}) as tab:
        await asyncio.sleep(0.1)
        await sync_to_async(tell_user)(owner.pk, type="quota", text={"en": "used up", "zh-hans": "已用完"})
        assert await tab.receive_json() == {"type": "quota", "text": told}
