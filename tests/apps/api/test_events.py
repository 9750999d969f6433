"""GET /api/v1/requests/{id}/events: every event once, however often the connection is lost; and stopping."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from apps.accounts.keys import create_api_key
from apps.accounts.models import User
from apps.api import chat_completions
from apps.api.chat_completions import ChatCompletion
from apps.api.idempotency import KEEP, Ticket
from apps.api.schemas import ChatCompletionIn
from apps.serving import connection, services
from contracts import names
from tests.apps.api.asking import SentEvent, bearer, events_of, post, text_of
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)

WORDS = [f"w{place}" for place in range(30)]
BODY = {"model": "echo", "messages": [{"role": "user", "content": " ".join(WORDS)}]}


async def ask(owner: User) -> ChatCompletion:
    """A request that is being answered. Not through the test client, which has one thread for all requests."""
    key, _ = await sync_to_async(create_api_key)(owner=owner, name="k")
    ticket = Ticket(services.new_request_id(), KEEP)
    return await chat_completions.submit(key, ChatCompletionIn(**BODY, stream=True), ticket)


async def listen(request_id: str, headers: dict[str, str], after: str = "") -> Any:
    more = {"Last-Event-ID": after} if after else {}
    return await AsyncClient().get(f"/api/v1/requests/{request_id}/events", headers={**headers, **more})


async def some(response: Any, count: int) -> list[SentEvent]:
    """The first events; then the connection is lost."""
    text = ""
    async for part in response.streaming_content:
        text += part.decode()
        if text.count("data: ") >= count:
            break
    await response.streaming_content.aclose()
    return events_of(text)


async def test_every_token_once_over_many_cuts(worker: FakeWorker, owner: User) -> None:
    headers = await sync_to_async(bearer)(owner)
    worker.engine.pause = 0.02
    completion = await ask(owner)
    request_id = completion.request_id
    events = await some(await listen(request_id, headers), 3)
    for count in (1, 5, 2):
        events += await some(await listen(request_id, headers, events[-1].id), count)
    assert events[-1].event != "done"
    events += events_of(await text_of(await listen(request_id, headers, events[-1].id)))
    assert [int(event.id) for event in events] == list(range(1, len(WORDS) + 3))
    assert [event.event for event in events] == ["started", *["delta"] * len(WORDS), "done"]
    assert "".join(event.data.get("text", "") for event in events) == " ".join(WORDS)


async def test_nothing_comes_behind_the_end(worker: FakeWorker, owner: User) -> None:
    headers = await sync_to_async(bearer)(owner)
    request_id = (await post("/v1/chat/completions", BODY, headers))["X-Request-Id"]
    events = events_of(await text_of(await listen(request_id, headers)))
    assert (await listen(request_id, headers, events[-1].id)).status_code == 204


@pytest.mark.parametrize("said", ["x", "-1", "1.5", "9" * 20])
async def test_what_is_no_event_id(worker: FakeWorker, owner: User, said: str) -> None:
    headers = await sync_to_async(bearer)(owner)
    response = await listen("none", headers, said)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "Last-Event-ID")


async def test_who_may_listen_and_stop(worker: FakeWorker, owner: User, stranger: User) -> None:
    boss = await sync_to_async(User.objects.create_superuser)("boss@example.com")
    people = {name: await sync_to_async(bearer)(user) for name, user in
              (("owner", owner), ("stranger", stranger), ("boss", boss))}  # fmt: skip
    request_id = (await post("/v1/chat/completions", BODY, people["owner"]))["X-Request-Id"]
    listened = {name: (await listen(request_id, headers)).status_code for name, headers in people.items()}
    assert listened == {"owner": 200, "stranger": 404, "boss": 200}
    path = f"/api/v1/requests/{request_id}/stop"
    stopped = {name: (await post(path, {}, headers)).status_code for name, headers in people.items()}
    assert stopped == {"owner": 202, "stranger": 404, "boss": 202}


async def test_stop_ends_an_answer_early(worker: FakeWorker, owner: User) -> None:
    headers = await sync_to_async(bearer)(owner)
    worker.engine.gate = threading.Event()
    completion = await ask(owner)
    request_id = completion.request_id
    answer = await post(f"/api/v1/requests/{request_id}/stop", {}, headers)
    assert (answer.status_code, answer.json()) == (202, {"id": request_id, "stopping": True})
    assert connection.client().hget(names.request_key(request_id), "stop") == "1"
    while not worker.engine.seen:
        await asyncio.sleep(0.01)
    worker.engine.abort(request_id)  # as the host does when it hears of it
    worker.engine.gate.set()
    choice = (await completion.whole())["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "stop")
