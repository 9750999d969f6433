"""The official client, unmodified: it waits as long as we say and comes again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import pytest
from asgiref.sync import sync_to_async
from openai import AsyncOpenAI, RateLimitError

from apps.accounts.keys import create_api_key
from apps.quotas.models import Metric, Scope, Window
from apps.quotas.services import set_limit
from apps.serving import services
from deepseek_web.handlers import ByPath
from tests.fakes import FakeWorker

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

QUESTION: Any = [{"role": "user", "content": "one two three"}]


@pytest.fixture
def answers() -> list[httpx.Response]:
    """All that the client was sent."""
    return []


@pytest.fixture
async def client(owner: Any, answers: list[httpx.Response]) -> AsyncIterator[AsyncOpenAI]:
    async def note(response: httpx.Response) -> None:
        answers.append(response)

    _, secret = await sync_to_async(create_api_key)(owner=owner, name="k")
    transport = httpx.ASGITransport(app=ByPath())  # type: ignore[arg-type]
    http = httpx.AsyncClient(transport=transport, event_hooks={"response": [note]})
    async with AsyncOpenAI(base_url="http://testserver/v1", api_key=secret, max_retries=2, http_client=http) as made:
        yield made


async def limit(owner: Any, metric: Metric, window: Window, amount: int) -> None:
    await sync_to_async(set_limit)(
        scope=Scope.USER, subject=str(owner.pk), metric=metric, window=window, amount=amount, actor=None
    )


async def test_429_is_tried_again_when_there_is_room(
    worker: FakeWorker, owner: Any, client: AsyncOpenAI, answers: list[httpx.Response]
) -> None:
    await limit(owner, Metric.CONCURRENT_REQUESTS, Window.NOW, 1)
    worker.engine.gate.clear()
    first = asyncio.create_task(client.chat.completions.create(model="echo", messages=QUESTION))
    while not worker.engine.seen:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(client.chat.completions.create(model="echo", messages=QUESTION))
    while not answers:
        await asyncio.sleep(0.01)
    worker.engine.gate.set()
    done = await asyncio.gather(first, second)
    assert [one.choices[0].message.content for one in done] == ["one two three"] * 2
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429]
    assert answers[0].headers["retry-after"] == "1"


async def test_503_is_tried_again(
    worker: FakeWorker, client: AsyncOpenAI, answers: list[httpx.Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.engine.gate.set()
    really = services.route
    turns = iter([True])

    def busy_once(*arguments: Any, **names: Any) -> services.Target:
        if next(turns, False):
            raise services.NoWorker("All workers are busy and their queue is full.", retry_after=1)
        return really(*arguments, **names)

    monkeypatch.setattr(services, "route", busy_once)
    answer = await client.chat.completions.create(model="echo", messages=QUESTION)
    assert answer.choices[0].message.content == "one two three"
    assert [one.status_code for one in answers] == [503, 200]


async def test_used_up_quota_is_an_error_that_says_so(worker: FakeWorker, owner: Any, client: AsyncOpenAI) -> None:
    await limit(owner, Metric.REQUESTS, Window.MONTH, 0)
    with pytest.raises(RateLimitError) as refused:
        await client.with_options(max_retries=0).chat.completions.create(model="echo", messages=QUESTION)
    assert (refused.value.type, refused.value.code) == ("quota_exceeded", "quota_exceeded")
