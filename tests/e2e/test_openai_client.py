"""The official client, unmodified, against a running installation."""

import time
from collections.abc import Callable

import pytest
from openai import APIStatusError, AuthenticationError, BadRequestError, NotFoundError, OpenAI

from tests.e2e.conftest import PATIENCE
from tests.e2e.stack import EMAIL, Stack

MODEL = "smollm2-135m"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def client(stack: Stack) -> OpenAI:
    key = stack.manage("create_api_key", EMAIL).strip()
    return OpenAI(base_url=f"{stack.url}/v1", api_key=key, max_retries=3, timeout=120)


def running(stack: Stack) -> int:
    return int(
        stack.python(
            "from apps.serving.queries import leases; "
            "print(sum(r.running for l in leases() for r in l.revisions.values()))"
        )
    )


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_models_are_listed(client: OpenAI) -> None:
    assert MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(MODEL).id == MODEL


def test_chat_answers(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, max_tokens=30)
    assert "Paris" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream_equals_the_whole_answer(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, max_tokens=30)
    stream = client.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        temperature=0,
        max_tokens=30,
        stream=True,
        stream_options={"include_usage": True},
    )
    text, usage = "", None
    for chunk in stream:
        usage = chunk.usage or usage
        text += "".join(choice.delta.content or "" for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    assert usage.completion_tokens == whole.usage.completion_tokens


def test_leaving_early_frees_the_slot(client: OpenAI, stack: Stack) -> None:
    story = [{"role": "user", "content": "Write a very long story about the sea. Never stop."}]
    stream = client.chat.completions.create(
        model=MODEL, messages=story, temperature=0, max_tokens=1500, stream=True
    )  # 1,500 tokens, always; drawn by chance, it may be over before the first look
    next(iter(stream))
    wait_for(lambda: running(stack) >= 1)  # a worker says it once a second
    stream.close()
    wait_for(lambda: running(stack) == 0)


def test_logprobs(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, max_tokens=5, logprobs=True, top_logprobs=2
    )
    content = answer.choices[0].logprobs.content
    assert [len(token.top_logprobs) for token in content] == [2] * len(content)
    assert all(token.logprob == max(other.logprob for other in token.top_logprobs) for token in content)


@pytest.mark.parametrize(
    ("error", "change"),
    [
        (NotFoundError, {"model": "gpt-9"}),
        (BadRequestError, {"messages": [{"role": "user", "content": "word " * 20_000}]}),
        (APIStatusError, {"temperature": 9.0}),
    ],
)
def test_errors_are_the_clients_own(client: OpenAI, error: type[Exception], change: dict) -> None:
    with pytest.raises(error):
        client.chat.completions.create(**{"model": MODEL, "messages": QUESTION, **change})


def test_wrong_key(stack: Stack) -> None:
    with pytest.raises(AuthenticationError):
        OpenAI(base_url=f"{stack.url}/v1", api_key="dsw-wrong").models.list()
