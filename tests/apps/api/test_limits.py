"""What a client of the API hears of limits."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections

from apps.accounts.models import APIKey
from apps.quotas import limits
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.quotas.queries import limits_with_use
from apps.quotas.services import set_limit
from apps.serving import services
from tests.apps.api.asking import bearer, post
from tests.fakes import FakeWorker

BODY = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}], "max_tokens": 50}


def limit(owner: Any, amount: int, metric: Metric = Metric.REQUESTS, window: Window = Window.MINUTE) -> None:
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=metric, window=window, amount=amount, actor=None)


@pytest.fixture
def headers(owner: Any) -> dict[str, str]:
    return bearer(owner)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stream", [False, True])
async def test_headers_count_down_and_the_last_is_refused(
    worker: FakeWorker, owner: Any, headers: dict[str, str], stream: bool
) -> None:
    await sync_to_async(limit)(owner, 2)
    await sync_to_async(limit)(owner, 500, Metric.OUTPUT_TOKENS)
    for left in (1, 0):
        answer = await post("/v1/chat/completions", {**BODY, "stream": stream}, headers)
        if stream:
            [part async for part in answer.streaming_content]
        assert answer.status_code == 200
        said = {name: answer[f"x-ratelimit-{name}-requests"] for name in ("limit", "remaining")}
        assert said == {"limit": "2", "remaining": str(left)}
        assert answer["x-ratelimit-limit-tokens"] == "500"
        assert answer["x-ratelimit-reset-requests"].endswith("s")
    refused = await post("/v1/chat/completions", BODY, headers)
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 61
    error = refused.json()["error"]
    assert {name: error[name] for name in ("type", "code", "scope", "metric", "window", "limit")} == {
        "type": "rate_limit_exceeded", "code": "rate_limit_exceeded", "scope": "user", "metric": "requests",
        "window": "minute", "limit": 2,
    }  # fmt: skip
    assert refused["x-ratelimit-remaining-requests"] == "0"


@pytest.mark.django_db(transaction=True)
def test_settled_answer_is_in_the_ledger(worker: FakeWorker, owner: Any, headers: dict[str, str]) -> None:
    limit(owner, 5000, Metric.OUTPUT_TOKENS, Window.DAY)
    answer = async_to_sync(post)("/v1/chat/completions", BODY, headers)
    services.settle_ended()
    usage, entry = answer.json()["usage"], LedgerEntry.objects.get()
    assert (entry.input_tokens, entry.output_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert (entry.key_id, entry.deployment, entry.outcome) == (APIKey.objects.get().pk, "echo", "stop")
    assert [one.used for one in limits_with_use(Scope.USER, str(owner.pk))] == [usage["completion_tokens"]]


@pytest.mark.django_db(transaction=True)
def test_lease_comes_back_with_the_answer(worker: FakeWorker, owner: Any, headers: dict[str, str]) -> None:
    """Before it is settled."""
    limit(owner, 1, Metric.CONCURRENT_REQUESTS, Window.NOW)
    for _ in range(3):
        assert async_to_sync(post)("/v1/chat/completions", BODY, headers).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_used_up_day_is_a_quota(worker: FakeWorker, owner: Any, headers: dict[str, str]) -> None:
    limit(owner, 0, Metric.REQUESTS, Window.DAY)
    for path, body in (
        ("/v1/chat/completions", BODY),
        ("/v1/completions", {"model": "echo", "prompt": ["a", "b"]}),
    ):
        refused = async_to_sync(post)(path, body, headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (429, "quota_exceeded")


@pytest.mark.django_db(transaction=True)
def test_warm_request_asks_no_database(
    worker: FakeWorker, owner: Any, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(owner, 100)
    monkeypatch.setattr(limits, "MAX_AGE", 100)

    async def twice() -> list[int]:
        first = await post("/v1/chat/completions", BODY, headers)
        with monkeypatch.context() as patch:
            patch.setattr(type(connections["default"]), "cursor", lambda *_: 1 / 0)
            second = await post("/v1/chat/completions", BODY, headers)
        return [first.status_code, second.status_code]

    assert async_to_sync(twice)() == [200, 200]
