"""POST /v1/completions: prompts without a chat template."""

from typing import Any

import pytest

from apps.accounts.models import User
from tests.apps.api.asking import bearer, events_of, post, text_of
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/v1/completions"
HELLO = {"model": "echo", "prompt": "one two three"}


@pytest.fixture
def headers(owner: User) -> dict[str, str]:
    return bearer(owner)


def choice(index: int, text: str, finish_reason: str | None = "stop") -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason}


async def test_whole_answer(worker: FakeWorker, headers: dict[str, str]) -> None:
    response = await post(PATH, HELLO, headers)
    answer = response.json()
    request = worker.sent[0]
    assert answer == {
        "id": f"cmpl-{request.request_id}",
        "object": "text_completion",
        "created": int(request.arrival_time),
        "model": "echo",
        "choices": [choice(0, "one two three")],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 3,
            "total_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }
    assert response["X-Request-Id"] == request.request_id
    assert request.inputs == {"prompt": "one two three"}
    assert request.sampling_params == {"stop": [], "max_tokens": 16}


async def test_every_prompt_is_a_choice(worker: FakeWorker, headers: dict[str, str]) -> None:
    answer = (await post(PATH, {**HELLO, "prompt": ["one", "two three"], "echo": True}, headers)).json()
    assert answer["choices"] == [choice(0, "oneone"), choice(1, "two threetwo three")]
    assert answer["usage"]["completion_tokens"] == 3


async def test_stream(worker: FakeWorker, headers: dict[str, str]) -> None:
    body = {**HELLO, "stream": True, "echo": True, "stream_options": {"include_usage": True}}
    events = events_of(await text_of(await post(PATH, body, headers)))
    assert events.pop().data == "[DONE]"
    assert events.pop().data["usage"]["completion_tokens"] == 3
    assert [event.data["choices"] for event in events] == [
        [choice(0, "one two three", None)],
        [choice(0, "one", None)],
        [choice(0, " two", None)],
        [choice(0, " three", None)],
        [choice(0, "")],
    ]


async def test_stream_of_two_prompts(worker: FakeWorker, headers: dict[str, str]) -> None:
    events = events_of(await text_of(await post(PATH, {**HELLO, "prompt": ["a b", "c"], "stream": True}, headers)))
    texts = {0: "", 1: ""}
    for event in events[:-1]:
        for one in event.data["choices"]:
            texts[one["index"]] += one["text"]
    assert texts == {0: "a b", 1: "c"}
    assert (events[-1].data, {event.id for event in events}) == ("[DONE]", {""})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a"] * 17}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"n": 2}, "n"),
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 3}, "logprobs"),
        ({"suffix": "end"}, "suffix"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
    ],
)
async def test_refusals(worker: FakeWorker, headers: dict[str, str], change: dict[str, Any], field: str) -> None:
    response = await post(PATH, {**HELLO, **change}, headers)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"].split(".")[0]) == (400, "invalid_request_error", field)
    assert worker.sent == []


async def test_neutral_values_are_taken(worker: FakeWorker, headers: dict[str, str]) -> None:
    body = {**HELLO, "suffix": None, "logprobs": None, "logit_bias": {}, "best_of": 1, "n": 1, "store": False}
    assert (await post(PATH, body, headers)).status_code == 200


async def test_an_error_of_one_prompt_is_the_answer(worker: FakeWorker, headers: dict[str, str]) -> None:
    worker.engine.fail_with = {"type": "context_length_exceeded", "message": "Too long.", "prompt_tokens": 9000}
    for stream in (False, True):
        response = await post(PATH, {**HELLO, "prompt": ["a", "b"], "stream": stream}, headers)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "context_length_exceeded")
