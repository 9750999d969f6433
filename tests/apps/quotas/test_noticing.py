"""Limits among the notices: once when they are nearly used up, once a day when they refuse."""

from typing import Any

import pytest

from apps.accounts.keys import create_api_key
from apps.accounts.models import Team, User
from apps.notices.models import Kind, Notice
from apps.notices.queries import lines
from apps.quotas import noticing, refusals
from apps.quotas.admission import LimitReached
from apps.quotas.models import Metric, Scope, Window
from apps.quotas.services import reserve, set_limit
from apps.quotas.settlement import Use, settle
from apps.quotas.usage import Amounts, account_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def spend(who: Any, times: int) -> None:
    for place in range(times):
        reserve(account=account_of(who), source=f"request:{place}", amounts=Amounts(1), kind="text-generation")
        settle([Use(f"request:{place}", Amounts(1), 1_700_000_000.0)])


def told(user: User) -> list[tuple[str, str]]:
    return [(line.notice.level, line.text) for line in lines(user, Notice.objects.filter(reader=user))]


def test_four_fifths_are_told_to_whose_limit_it_is(owner: User, member: User) -> None:
    set_limit(scope=Scope.USER, metric=Metric.REQUESTS, window=Window.DAY, amount=5, actor=None)
    spend(owner, 5)
    assert told(owner) == [("warning", "Your account: 80 per cent of the limit of 5 requests a day are used.")]
    assert told(member) == []


def test_a_minutes_limit_is_no_news(owner: User) -> None:
    set_limit(scope=Scope.USER, metric=Metric.REQUESTS, window=Window.MINUTE, amount=5, actor=None)
    spend(owner, 5)
    noticing.of_refusals([("user", str(owner.pk), "requests", "minute")])
    noticing.of_refusals([("user", str(owner.pk), "concurrent_requests", "now")])
    assert told(owner) == []


def test_a_limit_that_refuses_is_told_once(owner: User, django_capture_on_commit_callbacks: Any) -> None:
    set_limit(scope=Scope.USER, metric=Metric.REQUESTS, window=Window.DAY, amount=0, actor=None)
    for _ in range(3):
        with pytest.raises(LimitReached):
            spend(owner, 1)
        with django_capture_on_commit_callbacks(execute=True):
            refusals.store()
    said = "Your account: a limit is used up and requests are turned away: requests a day."
    assert told(owner) == [("error", said)] and Notice.objects.get().times == 1


def test_of_a_key_its_owner_hears_and_of_a_team_who_is_in_charge(
    owner: User, member: User, team: Team, administrator: User
) -> None:
    key = create_api_key(owner=member, name="nightly")[0]
    noticing.of_refusals([
        ("key", str(key.pk), "requests", "day"), ("team", str(team.pk), "requests", "month"),
        ("organization", "", "output_tokens", "hour"),
    ])  # fmt: skip
    rest = "a limit is used up and requests are turned away:"
    assert told(member) == [("error", f"The API key nightly: {rest} requests a day.")]
    assert told(owner) == [("error", f"The team Quality: {rest} requests a month.")]
    assert told(administrator) == [("error", f"The organisation: {rest} output tokens an hour.")]
    assert set(Notice.objects.values_list("kind", flat=True)) == {Kind.LIMIT}
