"""The OpenAI-compatible API: the happy way, every refusal, and who may."""

import asyncio
import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection as database
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.keys import create_api_key, revoke_api_key
from apps.accounts.models import APIKey, User
from apps.api import chat_completions, health
from apps.api.idempotency import Ticket
from apps.api.schemas import ChatCompletionIn
from apps.serving import asking, connection, requests
from contracts import names
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)

HELLO = {"model": "echo", "messages": [{"role": "user", "content": "good morning 你好 🙂"}]}


@pytest.fixture
def key(owner: User) -> tuple[APIKey, str]:
    return create_api_key(owner=owner, name="test")


@pytest.fixture
def headers(key: tuple[APIKey, str]) -> dict[str, str]:
    return {"authorization": f"Bearer {key[1]}"}


async def post(body: Any, headers: dict[str, str]) -> Any:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return await AsyncClient().post("/v1/chat/completions", content, content_type="application/json", headers=headers)


async def test_whole_answer(worker: FakeWorker, headers: dict[str, str]) -> None:
    answer = (await post(HELLO, headers)).json()
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "echo"
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "good morning 你好 🙂"},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert answer["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


async def chunks_of(response: Any) -> list[Any]:
    body = b"".join([part async for part in response.streaming_content]).decode()
    return [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]


async def test_streamed_answer(worker: FakeWorker, headers: dict[str, str]) -> None:
    response = await post({**HELLO, "stream": True, "stream_options": {"include_usage": True}}, headers)
    assert response["Content-Type"].startswith("text/event-stream")
    chunks = await chunks_of(response)
    assert chunks.pop() == "[DONE]"
    parsed = [json.loads(chunk) for chunk in chunks]
    assert parsed[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(c["delta"].get("content", "") for chunk in parsed for c in chunk["choices"])
    assert text == "good morning 你好 🙂"
    assert parsed[-2]["choices"][0]["finish_reason"] == "stop"
    assert parsed[-1]["choices"] == []
    assert parsed[-1]["usage"]["completion_tokens"] == 4


async def test_client_that_leaves_stops_the_worker(worker: FakeWorker, key: tuple[APIKey, str]) -> None:
    worker.engine.pause = 0.05
    completion = await chat_completions.submit(key[0], ChatCompletionIn(**HELLO, stream=True), Ticket())
    chunks = completion.chunks()  # not through the test client, which hides the stream behind its own
    await anext(chunks)
    await chunks.aclose()
    await asyncio.gather(*asking._stopping)
    assert connection.client().hget(names.request_key(completion.request_id), "stop") == "1"


async def test_parameters_reach_the_worker(worker: FakeWorker, headers: dict[str, str]) -> None:
    body = {**HELLO, "temperature": 0.2, "max_completion_tokens": 5, "stop": "x", "top_logprobs": 2, "logprobs": True}
    await post({**body, "top_p": 0.5, "seed": 7, "user": "conversation-1"}, headers)
    request = worker.sent[0]
    assert request.sampling_params == {
        "temperature": 0.2,
        "max_tokens": 5,
        "stop": ["x"],
        "logprobs": 2,
        "top_p": 0.5,
        "seed": 7,
    }
    assert request.conversation.endswith(":conversation-1")


async def test_content_parts_and_developer_role(worker: FakeWorker, headers: dict[str, str]) -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    messages = [{"role": "developer", "content": "Be short."}, {"role": "user", "content": parts}]
    await post({"model": "echo", "messages": messages}, headers)
    assert worker.sent[0].inputs["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "one two"},
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{not json", "body"),
        ("[" * 100_000, "body"),
        (b"\xff\xfe", "body"),
        ("[]", "model"),
        ({"messages": HELLO["messages"]}, "model"),
        ({"model": "echo"}, "messages"),
        ({**HELLO, "messages": []}, "messages"),
        ({**HELLO, "messages": "hi"}, "messages"),
        ({**HELLO, "messages": [{"role": "wizard", "content": "hi"}]}, "messages.0.role"),
        ({**HELLO, "messages": [{"role": "user", "content": 5}]}, "messages.0.content.str"),
        ('{"model": "echo", "messages": [{"role": "user", "content": "hi"}], "temperature": NaN}', "temperature"),
        ('{"model": "echo", "messages": [{"role": "user", "content": "hi"}], "top_p": Infinity}', "top_p"),
        ({**HELLO, "temperature": "hot"}, "temperature"),
        ({**HELLO, "temperature": 3}, "temperature"),
        ({**HELLO, "max_tokens": 0}, "max_tokens"),
        ({**HELLO, "max_tokens": 1.5}, "max_tokens"),
        ({**HELLO, "n": 2}, "n"),
        ({**HELLO, "stream": "perhaps"}, "stream"),
        ({**HELLO, "stop": ["x"] * 17}, "stop"),
        ({**HELLO, "seed": 2**64}, "seed"),
    ],
)
async def test_bad_input_names_the_field(worker: FakeWorker, headers: dict[str, str], body: Any, field: str) -> None:
    response = await post(body, headers)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == field
    assert worker.sent == []


async def test_unknown_model_lists_what_there_is(worker: FakeWorker, headers: dict[str, str]) -> None:
    response = await post({**HELLO, "model": "gpt-9"}, headers)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"
    assert response.json()["error"]["available"] == ["echo"]


@pytest.mark.parametrize("stream", [False, True])
async def test_over_long_prompt_is_400_with_counts(worker: FakeWorker, headers: dict[str, str], stream: bool) -> None:
    worker.engine.fail_with = {
        "type": "context_length_exceeded",
        "message": "The prompt has 9000 tokens, the model takes 2048.",
        "prompt_tokens": 9000,
        "context_length": 2048,
    }
    response = await post({**HELLO, "stream": stream}, headers)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["prompt_tokens"], error["context_length"]) == ("context_length_exceeded", 9000, 2048)


async def test_no_worker_is_503_with_retry_after(worker: FakeWorker, headers: dict[str, str]) -> None:
    worker.lose_lease()
    response = await post(HELLO, headers)
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert await sync_to_async(requests.live_records)() == []


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer dsw-wrong", "Basic abc"])
async def test_without_a_key_401(worker: FakeWorker, header: str) -> None:
    response = await post(HELLO, {"authorization": header} if header else {})
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


async def test_revoked_key_and_inactive_owner_are_refused(
    worker: FakeWorker, key: tuple[APIKey, str], headers: dict[str, str], owner: User
) -> None:
    owner.is_active = False
    await owner.asave()
    assert (await post(HELLO, headers)).status_code == 401
    owner.is_active = True
    await owner.asave()
    assert (await post(HELLO, headers)).status_code == 200
    await sync_to_async(revoke_api_key)(key=key[0])
    assert (await post(HELLO, headers)).status_code == 401


async def test_models(worker: FakeWorker, headers: dict[str, str]) -> None:
    listed = (await AsyncClient().get("/v1/models", headers=headers)).json()
    assert [(model["id"], model["state"]) for model in listed["data"]] == [("echo", "READY")]
    one = await AsyncClient().get("/v1/models/echo", headers=headers)
    assert one.json() == listed["data"][0]
    assert (await AsyncClient().get("/v1/models/none", headers=headers)).status_code == 404


def test_probes(client: Client, worker: FakeWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_last", (0.0, {}))
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"database": True, "redis": True, "worker": True}
    worker.lose_lease()
    monkeypatch.setattr(health, "_last", (0.0, {}))  # the second is over
    response = client.get("/readyz")
    assert (response.status_code, response.json()["worker"]) == (503, False)


def test_readiness_is_looked_at_once_a_second(client: Client, worker: FakeWorker, monkeypatch: Any) -> None:
    monkeypatch.setattr(health, "_last", (0.0, {}))
    monkeypatch.setattr(health, "_SECONDS", 60.0)
    with CaptureQueriesContext(database) as queries:
        assert [client.get("/readyz").status_code for _ in range(5)] == [200] * 5
    assert len(queries) == 1


def test_key_is_stored_hashed_only(owner: User) -> None:
    key, secret = create_api_key(owner=owner, name="x")
    stored = APIKey.objects.values().get()
    assert secret not in str(stored)
    assert secret.startswith(key.prefix)
