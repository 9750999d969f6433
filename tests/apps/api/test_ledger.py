"""The ledger is the sum of what the answers said."""

import asyncio
import json
import random
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db.models import Sum

from apps.quotas import limits
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.quotas.queries import limits_with_use
from apps.quotas.services import set_limit
from apps.serving import services, snapshot
from tests.apps.api.asking import bearer, post, text_of
from tests.fakes import FakeWorker

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

METRICS = (Metric.REQUESTS, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS)


async def ask(dice: random.Random, headers: dict[str, str]) -> tuple[int, int, int]:
    """Requests, tokens in and tokens out of one answer, as it says itself."""
    words = " ".join(["word"] * dice.randrange(1, 8))
    kind = dice.choice(("whole", "stream", "prompts"))
    if kind == "prompts":
        prompts = [words] * dice.randrange(1, 4)
        answer = await post("/v1/completions", {"model": "echo", "prompt": prompts}, headers)
        return len(prompts), *_tokens(answer.json()["usage"])
    body = {"model": "echo", "messages": [{"role": "user", "content": words}], "max_tokens": dice.randrange(1, 2000)}
    if kind == "whole":
        return 1, *_tokens((await post("/v1/chat/completions", body, headers)).json()["usage"])
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    text = await text_of(await post("/v1/chat/completions", body, headers))
    return 1, *_tokens(json.loads(text.split("data: ")[-2])["usage"])


def _tokens(usage: dict[str, Any]) -> tuple[int, int]:
    return usage["prompt_tokens"], usage["completion_tokens"]


async def ask_many(count: int, headers: dict[str, str]) -> list[int]:
    dice, said = random.Random(4), []
    while sum(one[0] for one in said) < count:
        said += await asyncio.gather(*(ask(dice, headers) for _ in range(10)))
    return [sum(one[place] for one in said) for place in range(3)]


def check(worker: FakeWorker, owner: Any, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.engine.gate.set()
    for metric in METRICS:
        set_limit(scope=Scope.ORGANIZATION, metric=metric, window=Window.DAY, amount=10**9, actor=None)
    monkeypatch.setattr(limits, "MAX_AGE", 1)
    monkeypatch.setattr(snapshot, "_latest", snapshot.take())  # not that of another test
    monkeypatch.setattr(snapshot, "MAX_AGE", 1000)  # the worker of the tests does not renew its lease
    said = async_to_sync(ask_many)(count, bearer(owner))
    services.settle_ended()
    sums = LedgerEntry.objects.aggregate(*(Sum(str(metric)) for metric in METRICS))
    assert list(sums.values()) == said
    assert [one.used for one in limits_with_use(Scope.ORGANIZATION)] == said
    assert LedgerEntry.objects.count() == said[0] >= count


def test_ledger_is_the_sum_of_the_answers(worker: FakeWorker, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    check(worker, owner, 30, monkeypatch)


@pytest.mark.slow
def test_ledger_is_the_sum_of_a_thousand_answers(
    worker: FakeWorker, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(worker, owner, 1000, monkeypatch)
