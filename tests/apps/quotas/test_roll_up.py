"""The sums say what the ledger says, whenever they are made."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from apps.accounts.models import Organization
from apps.quotas.models import LedgerEntry, RollUp, UsageDay, UsageHour
from apps.quotas.roll_up import roll_up
from tests.apps.quotas.conftest import Use

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def sums(model) -> dict:
    names = ("requests", "input_tokens", "output_tokens", "compute_seconds", "stored_bytes", "cost")
    return model.objects.aggregate(**{name: Sum(name) for name in names})


def test_sums_are_those_of_the_ledger(use: Use, owner, member, team) -> None:
    for n in range(40):
        use(
            NOON - timedelta(hours=7 * n),
            user=(owner, member, None)[n % 3],
            team=team if n % 2 else None,
            deployment=("echo", "")[n % 2],
            output_tokens=n,
            compute_seconds=n / 4,
            stored_bytes=-n,
            cost=Decimal(n) / 7,
        )
        if n % 9 == 0:
            roll_up()
    roll_up()
    assert sums(UsageDay) == sums(LedgerEntry)
    assert UsageHour.objects.filter(scope="organization").aggregate(Sum("requests"))["requests__sum"] == 40


def test_nothing_is_counted_twice(use: Use, owner) -> None:
    use(user=owner)
    assert [roll_up(), roll_up()] == [True, True]
    use(user=owner)
    roll_up()
    assert UsageDay.objects.get().requests == 2


def test_use_of_nobody_is_one_row(use: Use) -> None:
    for _ in range(2):
        use(NOON)
        roll_up()
    assert UsageDay.objects.get().requests == 2


def test_days_begin_in_the_time_zone_of_the_organisation(use: Use) -> None:
    organization = Organization.current()
    use(datetime(2026, 3, 10, 20, 30, tzinfo=UTC))
    roll_up()
    assert UsageDay.objects.get().day == date(2026, 3, 10)
    organization.time_zone = "Asia/Shanghai"
    organization.save()
    roll_up()
    assert UsageDay.objects.get().day == date(2026, 3, 11)
    assert UsageHour.objects.get(scope="organization").hour == 4


def test_labels_are_the_newest(use: Use, owner) -> None:
    use(NOON, user=owner)
    roll_up()
    owner.email = "new@example.com"
    use(NOON, user=owner)
    roll_up()
    assert UsageDay.objects.get().user_label == "new@example.com"


def test_many_entries_are_summed_up_in_parts(use: Use) -> None:
    newest = max(use(NOON).pk for _ in range(10))
    roll_up(most=newest - 4)
    assert UsageDay.objects.get().requests == 6
    assert [roll_up(most=3), roll_up(most=3)] == [False, True]
    assert UsageDay.objects.get().requests == 10


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_somebody_who_sums_up(use: Use) -> None:
    """A page shows the sums as they are, and says so; neither counts anything twice."""
    use(NOON)
    roll_up()
    use(NOON)
    with ThreadPoolExecutor(1) as other, transaction.atomic():
        RollUp.objects.select_for_update().get()
        assert other.submit(_from_another_connection).result() is False
    assert roll_up()
    assert UsageDay.objects.get().requests == 2


@pytest.mark.django_db(transaction=True)
def test_what_is_being_written_is_not_passed_over(use: Use) -> None:
    """A higher number may be committed before a lower one: neither is lost."""
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            use(NOON)
            other.submit(_from_another_connection, lambda: use(NOON)).result()
            assert other.submit(_from_another_connection).result() is True
            assert not UsageDay.objects.exists()
        roll_up()
    assert UsageDay.objects.get().requests == 2


def _from_another_connection(act: Callable[[], Any] = roll_up) -> Any:
    try:
        return act()
    finally:
        connection.close()
