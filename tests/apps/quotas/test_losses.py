"""Redis loses its data, a process ends between two stores, a transaction never happens."""

import random
import time
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from apps.accounts.models import FailPolicy, Organization, User
from apps.quotas import limits, settlement
from apps.quotas.admission import LimitReached
from apps.quotas.limits import LimitsUnknown
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.quotas.queries import limits_with_use
from apps.quotas.services import hold_bytes, release_bytes, reserve, set_limit
from apps.quotas.settlement import Use, settle
from apps.quotas.sweep import sweep
from apps.quotas.usage import Amounts, account_of
from apps.serving.connection import client
from contracts import names

WINDOWS = (Window.MINUTE, Window.HOUR, Window.DAY, Window.MONTH)
METRICS = (Metric.REQUESTS, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS, Metric.COMPUTE_SECONDS)


def limit_everything(owner: User, amount: int = 10**9) -> None:
    for scope, subject in ((Scope.ORGANIZATION, ""), (Scope.USER, str(owner.pk))):
        for metric in METRICS:
            for window in WINDOWS:
                set_limit(scope=scope, subject=subject, metric=metric, window=window, amount=amount, actor=None)


def spend(owner: User, count: int, *, seed: int = 1) -> None:
    dice = random.Random(seed)
    for place in range(count):
        name = f"request:{seed}-{place}"
        reserve(account=account_of(owner), source=name, amounts=Amounts(1, 500, 1024, 1000), kind="text-generation")
        settle([Use(name, Amounts(1, dice.randrange(500), dice.randrange(1024), dice.randrange(9000)), time.time())])


def used(owner: User) -> list[float]:
    return [one.used for scope, subject in ((Scope.ORGANIZATION, ""), (Scope.USER, str(owner.pk)))
            for one in limits_with_use(scope, subject)]  # fmt: skip


def test_counters_come_back_from_the_ledger(owner: Any) -> None:
    limit_everything(owner)
    spend(owner, 40)
    before = used(owner)
    client().flushdb()
    assert used(owner) == pytest.approx(before, rel=0.01)
    assert before[0] == 40


def test_limit_holds_after_a_loss(owner: Any) -> None:
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.REQUESTS, window=Window.DAY, amount=5, actor=None)
    spend(owner, 5)
    client().flushdb()
    with pytest.raises(LimitReached):
        spend(owner, 1, seed=2)


def test_rebuilding_keeps_what_is_reserved(owner: Any) -> None:
    limit_everything(owner)
    spend(owner, 10)
    reserve(account=account_of(owner), source="request:open", amounts=Amounts(1, 5, 100, 1000), kind="text-generation")
    before = used(owner)
    call_command("rebuild_quotas", stdout=StringIO())
    assert used(owner) == before
    settle([Use("request:open", Amounts(1, 5, 40, 500), time.time())])
    assert sum(used(owner)) == sum(before) - 2 * 4 * (60 + 0.5)


def test_process_that_ends_between_ledger_and_redis(owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_everything(owner)
    reserve(account=account_of(owner), source="request:a", amounts=Amounts(1, 5, 100, 1000), kind="text-generation")
    use = Use("request:a", Amounts(1, 5, 40, 500), time.time())
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(settlement, "_apply", lambda *arguments: 1 / 0)
        settle([use])
    call_command("rebuild_quotas", stdout=StringIO())  # in between, to make it harder
    settle([use])
    assert used(owner) == [1] * 4 + [5] * 4 + [40] * 4 + [0.5] * 4 + [1] * 4 + [5] * 4 + [40] * 4 + [0.5] * 4
    assert LedgerEntry.objects.count() == 1


def test_request_that_is_gone_gives_its_reservation_back(owner: Any) -> None:
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.REQUESTS, window=Window.DAY, amount=1, actor=None)
    reserve(account=account_of(owner), source="request:a", amounts=Amounts(1), kind="text-generation")
    assert sweep() == []
    assert sweep(now=time.time() + 61) == ["request:a"]
    assert used(owner) == [0]
    assert client().hlen(names.RESERVATIONS_KEY) == 0


def test_lease_of_a_killed_process_ends_by_itself(owner: Any) -> None:
    now = Window.NOW
    metric = Metric.CONCURRENT_REQUESTS
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=metric, window=now, amount=1, actor=None)
    account = account_of(owner)
    reserve(account=account, source="request:a", amounts=Amounts(1), kind="text-generation", seconds=0.05)
    with pytest.raises(LimitReached):
        reserve(account=account, source="request:b", amounts=Amounts(1), kind="text-generation")
    time.sleep(0.1)
    reserve(account=account, source="request:b", amounts=Amounts(1), kind="text-generation")


def test_bytes_are_held_until_released(owner: Any) -> None:
    metric = Metric.STORED_BYTES
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=metric, window=Window.NOW, amount=100, actor=None)
    account = account_of(owner)
    hold_bytes(account=account, source="file:1", amount=80)
    with pytest.raises(LimitReached) as refused:
        hold_bytes(account=account, source="file:2", amount=30)
    assert refused.value.is_final
    assert refused.value.kind == "quota_exceeded"
    release_bytes(source="file:1")
    release_bytes(source="file:1")
    hold_bytes(account=account, source="file:2", amount=100)
    client().flushdb()
    assert used(owner) == [100]


def test_entries_are_never_changed(owner: Any) -> None:
    spend(owner, 1)
    for act in (lambda: LedgerEntry.objects.update(requests=0), LedgerEntry.objects.all().delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            act()


def test_zone_that_changes_counts_from_the_ledger(owner: Any) -> None:
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.REQUESTS, window=Window.DAY, amount=9, actor=None)
    spend(owner, 3)
    Organization.objects.update_or_create(pk=1, defaults={"time_zone": "Asia/Tokyo"})
    limits.forget()
    assert used(owner) == [3]


def test_only_what_is_in_the_window_is_read(owner: Any) -> None:
    now = datetime.now(UTC)
    for place, age in enumerate([0, 30, 90, 3000, 4000]):
        at = now - timedelta(seconds=age)
        LedgerEntry.objects.create(at=at, source=f"request:{place}", kind="text-generation", user_id=owner.pk)
    for window in (Window.MINUTE, Window.HOUR):
        set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.REQUESTS, window=window, amount=9, actor=None)
    assert used(owner) == [2, 4]


@pytest.mark.parametrize("policy", FailPolicy.values)
def test_policy_decides_when_limits_cannot_be_read(owner: Any, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Organization.current()
    Organization.objects.update_or_create(pk=1, defaults={"fail_policy": policy})
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.REQUESTS, window=Window.DAY, amount=0, actor=None)
    limits.current()
    monkeypatch.setattr(limits, "MAX_STALE", 0)

    def broken() -> Any:
        raise DatabaseError("away")

    monkeypatch.setattr(limits, "take", broken)
    if policy == FailPolicy.CLOSED:
        with pytest.raises(LimitsUnknown):
            spend(owner, 1)
    else:
        reserve(account=account_of(owner), source="request:a", amounts=Amounts(1), kind="text-generation")
    assert connection.is_usable()
