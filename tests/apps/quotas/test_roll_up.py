"""The sums say what the ledger says, whenever they are made."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db.models import Sum

from apps.accounts.models import Organization
from apps.quotas.models import LedgerEntry, UsageDay, UsageHour
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
    assert [roll_up(), roll_up(), roll_up()] == [1, 0, 0]
    use(user=owner)
    assert roll_up() == 1
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
