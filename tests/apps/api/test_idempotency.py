"""Idempotency-Key: the same POST twice is one request."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from apps.accounts.models import User
from apps.serving import connection
from apps.serving.models import Deployment
from contracts import names
from tests.apps.api.asking import bearer, events_of, post, text_of
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/v1/chat/completions"
HELLO = {"model": "echo", "messages": [{"role": "user", "content": "one two"}]}


@pytest.fixture
def headers(owner: User) -> dict[str, str]:
    return {**bearer(owner), "Idempotency-Key": "first"}


async def test_the_second_gets_the_answer_of_the_first(worker: FakeWorker, headers: dict[str, str]) -> None:
    first, second = [await post(PATH, HELLO, headers) for _ in range(2)]
    assert first.json() == second.json()
    assert len(worker.sent) == 1


async def test_it_does_not_matter_how_the_body_is_written(worker: FakeWorker, headers: dict[str, str]) -> None:
    first = await post(PATH, HELLO, headers)
    other = '{ "messages": [{"content":"one two", "role":"user"}],   "model":"echo"}'
    assert (await post(PATH, other, headers)).json() == first.json()


async def test_ten_at_once_are_one_request(worker: FakeWorker, headers: dict[str, str]) -> None:
    answers = await asyncio.gather(*(post(PATH, HELLO, headers) for _ in range(10)))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert (answers[0].status_code, len(worker.sent)) == (200, 1)


async def test_stored_answer_needs_no_worker(worker: FakeWorker, headers: dict[str, str]) -> None:
    first = await post(PATH, HELLO, headers)
    worker.lose_lease()
    assert (await post(PATH, HELLO, headers)).json() == first.json()


async def test_another_body_is_refused(worker: FakeWorker, headers: dict[str, str]) -> None:
    await post(PATH, HELLO, headers)
    refused = await post(PATH, {**HELLO, "temperature": 0}, headers)
    assert refused.status_code == 422
    assert refused.json()["error"] == {
        "message": "This Idempotency-Key was used for another request within the last 24 hours. Use a new one.",
        "type": "idempotency_error",
        "param": "Idempotency-Key",
        "code": "idempotency_key_reused",
    }
    assert len(worker.sent) == 1


async def test_the_same_key_of_another_owner_is_another(
    worker: FakeWorker, headers: dict[str, str], stranger: User
) -> None:
    first = await post(PATH, HELLO, headers)
    second = await post(PATH, HELLO, {**headers, **await sync_to_async(bearer)(stranger)})
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize("key", ["", "two words", "x" * 256])
async def test_what_is_no_key(worker: FakeWorker, headers: dict[str, str], key: str) -> None:
    response = await post(PATH, HELLO, {**headers, "Idempotency-Key": key})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_after_a_refusal_the_same_key_tries_again(
    deployment: Deployment, worker: FakeWorker, headers: dict[str, str]
) -> None:
    worker.lose_lease()
    assert (await post(PATH, HELLO, headers)).status_code == 503
    worker.start()
    assert (await post(PATH, HELLO, headers)).status_code == 200


async def test_a_process_that_dies_before_it_sends_leaves_a_key_that_can_be_used(
    worker: FakeWorker, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*args: Any, **kwargs: Any) -> None:
        raise SystemError

    with monkeypatch.context() as patch:
        patch.setattr("apps.serving.requests.save_and_send", die)
        assert (await post(PATH, HELLO, headers)).status_code == 500
    answers = [await post(PATH, HELLO, headers) for _ in range(2)]
    assert (answers[0].status_code, len(worker.sent)) == (200, 1)
    assert answers[0].json() == answers[1].json()


async def test_answer_is_kept_for_a_day(worker: FakeWorker, headers: dict[str, str]) -> None:
    request_id = (await post(PATH, HELLO, headers))["X-Request-Id"]
    for key in (names.request_key(request_id), names.stream_key(request_id)):
        assert 86_000 < connection.client().ttl(key) <= 86_400


async def test_several_prompts_are_each_one_request(worker: FakeWorker, headers: dict[str, str]) -> None:
    body = {"model": "echo", "prompt": ["a", "b"]}
    first, second = [await post("/v1/completions", body, headers) for _ in range(2)]
    assert first.json() == second.json()
    assert len({request.request_id for request in worker.sent}) == len(worker.sent) == 2


async def test_a_stream_that_was_cut_goes_on_where_it_was(worker: FakeWorker, headers: dict[str, str]) -> None:
    words = [f"w{place}" for place in range(40)]
    body = {"model": "echo", "messages": [{"role": "user", "content": " ".join(words)}], "stream": True}
    worker.engine.pause = 0.01
    seen = ""
    response = await post(PATH, body, headers)
    async for part in response.streaming_content:
        seen += part.decode()
        if "w7" in seen:
            break
    await response.streaming_content.aclose()
    before = events_of(seen)
    rest = await post(PATH, body, {**headers, "Last-Event-ID": before[-1].id})
    events = before + events_of(await text_of(rest))
    assert events.pop().data == "[DONE]"
    assert "".join(event.data["choices"][0]["delta"].get("content", "") for event in events) == " ".join(words)
    assert len(worker.sent) == 1
    assert len({event.data["id"] for event in events}) == 1
