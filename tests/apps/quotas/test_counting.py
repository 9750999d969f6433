"""What a reservation takes, what a settlement gives back, and when a limit refuses."""

import time
from typing import Any

import pytest

from apps.accounts.models import User
from apps.quotas.admission import LimitReached
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.quotas.queries import limits_with_use
from apps.quotas.services import reserve, set_limit
from apps.quotas.settlement import Use, release, settle
from apps.quotas.usage import Amounts, account_of

ONE = Amounts(requests=1, input_tokens=10, output_tokens=100, compute_ms=1000)


def limit(owner: User, amount: int, metric: Metric = Metric.REQUESTS, window: Window = Window.MINUTE) -> None:
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=metric, window=window, amount=amount, actor=None)


def take(owner: User, name: str, amounts: Amounts = ONE) -> None:
    reserve(account=account_of(owner), source=f"request:{name}", amounts=amounts, kind="text-generation")


def used(owner: User) -> list[float]:
    return [one.used for one in limits_with_use(Scope.USER, str(owner.pk))]


@pytest.mark.parametrize("window", [Window.MINUTE, Window.HOUR, Window.DAY, Window.MONTH])
@pytest.mark.parametrize(
    ("metric", "amount", "unit"),
    [
        (Metric.REQUESTS, 3, 1),
        (Metric.INPUT_TOKENS, 35, 10),
        (Metric.OUTPUT_TOKENS, 300, 100),
        (Metric.COMPUTE_SECONDS, 3, 1),
    ],
)
def test_three_pass_and_the_fourth_does_not(owner: Any, metric: Metric, amount: int, unit: int, window: Window) -> None:
    limit(owner, amount, metric, window)
    for name in "abc":
        take(owner, name)
    with pytest.raises(LimitReached) as refused:
        take(owner, "d")
    assert used(owner) == [3 * unit]
    assert refused.value.kind == ("rate_limit_exceeded" if window in {"minute", "hour"} else "quota_exceeded")
    assert 0 < refused.value.retry_after <= {"minute": 61, "hour": 3660, "day": 90_000, "month": 32 * 86_400}[window]


def test_settled_use_replaces_the_estimate_once(owner: Any) -> None:
    limit(owner, 1000, Metric.OUTPUT_TOKENS)
    take(owner, "a")
    use = Use("request:a", Amounts(1, 7, 20, 300), time.time())
    settle([use])
    settle([use])
    assert used(owner) == [20]
    entry = LedgerEntry.objects.get()
    assert (entry.source, entry.user_id, entry.output_tokens, entry.compute_seconds) == ("request:a", owner.pk, 20, 0.3)


def test_released_reservation_leaves_nothing(owner: Any) -> None:
    limit(owner, 1000, Metric.OUTPUT_TOKENS)
    limit(owner, 1, Metric.CONCURRENT_REQUESTS, Window.NOW)
    take(owner, "a")
    with pytest.raises(LimitReached):
        take(owner, "b")
    release(["request:a"])
    assert used(owner) == [0, 0]
    assert not LedgerEntry.objects.exists()
    take(owner, "b")


def test_limit_set_later_knows_old_spend(owner: Any) -> None:
    take(owner, "a")
    settle([Use("request:a", Amounts(1, 7, 20, 300), time.time())])
    limit(owner, 1, Metric.REQUESTS, Window.DAY)
    with pytest.raises(LimitReached):
        take(owner, "b")
