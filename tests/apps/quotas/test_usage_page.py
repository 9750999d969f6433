"""The usage page: who may see what, what it says, and that it costs the same however much was used."""

import csv
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.keys import create_api_key
from apps.accounts.models import Membership, Organization, Team, User
from apps.audit.models import AuditEntry
from apps.quotas.admission import LimitReached
from apps.quotas.models import Limit, Metric, Refusal, Scope, Window
from apps.quotas.services import reserve, set_limit
from apps.quotas.usage import Amounts, account_of
from apps.quotas.usage_csv import HEAD
from tests.apps.quotas.conftest import Use, signed_in

pytestmark = pytest.mark.django_db
USAGE, CSV = "/usage/", "/usage/csv/"


def page(user: Any, **asked: str) -> str:
    answer = signed_in(user).get(USAGE, asked)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def context(user: Any, **asked: str) -> dict[str, Any]:
    return signed_in(user).get(USAGE, asked).context


def tiles(user: Any, **asked: str) -> dict[str, str]:
    return {tile.metric: tile.value for tile in context(user, **asked)["tiles"]}


def rows(user: Any, **asked: str) -> list[list[str]]:
    text = async_to_sync(_text)(signed_in(user).get(CSV, asked)).decode("utf-8-sig")
    return list(csv.reader(text.splitlines()))


async def _text(answer: Any) -> bytes:
    return b"".join([part async for part in answer.streaming_content])


@pytest.mark.parametrize("path", [USAGE, CSV])
def test_who_may_see_whose_use(path: str, owner, member, stranger, team: Team, administrator: User) -> None:
    Membership.objects.create(team=team, user=member)
    key = create_api_key(owner=member, name="nightly")[0]
    team_key = create_api_key(owner=member, name="shared")[0]
    team_key.team = team
    team_key.save()
    everybody = [owner, member, stranger, administrator]
    expected = {
        "organization": [404, 404, 404, 200],
        f"team:{team.pk}": [200, 404, 404, 200],
        f"user:{member.pk}": [404, 200, 404, 200],
        f"key:{key.pk}": [404, 200, 404, 200],
        f"key:{team_key.pk}": [200, 200, 404, 200],
        "me": [200, 200, 200, 200],
    }
    found = {who: [signed_in(each).get(path, {"who": who}).status_code for each in everybody] for who in expected}
    assert found == expected


@pytest.mark.parametrize(
    "who",
    ["team:", "team:0", "team:x", "key:1", "user:²", "user:99999999999999999999", "all", "organization:1", "key:\0"],
)
def test_nobody_is_not_found(who: str, administrator: User) -> None:
    assert signed_in(administrator).get(USAGE, {"who": who}).status_code == 404


@pytest.mark.parametrize(
    "asked",
    [{"range": "x"}, {"range": "custom", "since": "2026-02-31"},
     {"range": "custom", "since": "2026-01-02", "until": "2026-01-01"},
     {"metric": "x"}, {"by": "password"}, {"page": "x"}],
)  # fmt: skip
def test_nonsense_is_no_error(asked: dict[str, str], owner) -> None:
    assert "Nothing was used in this time" in page(owner, **asked)


def test_totals_are_compared_with_the_time_before(owner, use: Use) -> None:
    now = timezone.now()
    use(
        now, user=owner, input_tokens=1200, output_tokens=300, compute_seconds=5400, cost="1.25", stored_bytes=3 * 2**20
    )
    use(now - timedelta(days=8), user=owner, output_tokens=200, stored_bytes=2**20)
    assert tiles(owner, range="7") == {
        "requests": "1",
        "input_tokens": "1,200",
        "output_tokens": "300",
        "compute_seconds": "1.5 h",
        "cost": "1.25 USD",
        "stored_bytes": "4 MB",
    }
    changes = {tile.metric: tile.change for tile in context(owner, range="7")["tiles"]}
    assert (changes["output_tokens"], changes["requests"], changes["stored_bytes"]) == ("+50 %", "0 %", "+300 %")


@pytest.mark.parametrize("span", ["24h", "7", "30", "90"])
def test_bars_add_up_to_the_total(span: str, owner, use: Use) -> None:
    for hours in (0, 2, 5, 30, 200):
        use(timezone.now() - timedelta(hours=hours), user=owner, output_tokens=10 + hours)
    shown = context(owner, range=span)
    total = sum(sum(values) for _label, values in shown["chart"].rows)
    assert total == shown["usage"].total["output_tokens"] > 0
    assert sum(values[0] for _label, values in shown["hours"].rows) == shown["usage"].total["requests"]


def test_models_have_their_colours_and_the_rest_is_other(owner, use: Use) -> None:
    for n in range(8):
        use(user=owner, deployment=f"model-{n}", output_tokens=100 - n)
    series = context(owner)["chart"].series
    assert [each.label for each in series] == [f"model-{n}" for n in range(5)] + ["other"]
    assert [each.place for each in series] == [1, 2, 3, 4, 5, 6]
    assert series[5].values[-1] == 95 + 94 + 93


def test_stored_bytes_are_a_level(owner, use: Use) -> None:
    now = timezone.now()
    use(now - timedelta(days=60), user=owner, stored_bytes=100, deployment="", requests=0)
    use(now - timedelta(days=3), user=owner, stored_bytes=-40, deployment="", requests=0)
    values = context(owner, range="7", metric="stored_bytes")["chart"].series[0].values
    assert values == [100, 100, 100, 60, 60, 60, 60]


def test_shares_of_compute(team: Team, owner, member, use: Use) -> None:
    use(user=owner, team=team, compute_seconds=30)
    use(user=member, team=team, compute_seconds=10)
    parts = context(owner, who=f"team:{team.pk}", by="user")["page"].object_list
    assert [(part.label, part.share) for part in parts] == [("owner@example.com", 0.75), ("member@example.com", 0.25)]


def test_a_lead_of_a_team_sees_names_but_not_what_they_did_elsewhere(team: Team, owner, member, use: Use) -> None:
    use(user=member, team=team, output_tokens=5)
    use(user=member, output_tokens=1000)
    assert tiles(owner, who=f"team:{team.pk}")["output_tokens"] == "5"
    assert f"who=user%3A{member.pk}" not in page(owner, who=f"team:{team.pk}", by="user")


def test_usage_outlives_the_person(administrator: User, member, use: Use) -> None:
    use(user=member, output_tokens=7)
    gone = f"user:{member.pk}"
    member.delete()
    assert tiles(administrator, who=gone)["output_tokens"] == "7"
    assert "Usage of member@example.com" in page(administrator, who=gone)
    assert "member@example.com" in page(administrator, who="organization", by="user")


def test_the_newest_name_is_shown(administrator: User, team: Team, use: Use) -> None:
    use(team=team)
    team.name = "Renamed"
    team.save()
    assert "Renamed" in page(administrator, who="organization", by="team")


def test_days_are_those_of_the_organisation(owner, use: Use) -> None:
    organization = Organization.current()
    organization.time_zone = "Pacific/Kiritimati"
    organization.save()
    use(user=owner)
    shown = context(owner, range="7")
    assert shown["span"].last_day == timezone.localdate(timezone=timezone.get_fixed_timezone(14 * 60))
    assert shown["usage"].total["requests"] == 1


def test_limits_and_refusals_are_shown(owner, use: Use) -> None:
    Limit.objects.create(scope=Scope.USER, metric=Metric.OUTPUT_TOKENS, window=Window.DAY, amount=100, set_by="x")
    use(user=owner, output_tokens=90)
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    shared = {"scope": Scope.USER, "metric": Metric.OUTPUT_TOKENS, "window": Window.DAY}
    Refusal.objects.create(hour=hour, subject=str(owner.pk), subject_label=owner.email, count=3, **shared)
    key = str(create_api_key(owner=owner, name="nightly")[0].pk)
    own = {"scope": Scope.KEY, "metric": Metric.REQUESTS, "window": Window.HOUR, "count": 7}
    Refusal.objects.create(hour=hour, subject=key, subject_label="nightly", **own)
    Refusal.objects.create(hour=hour, subject="0", subject_label="somebody", count=50, **shared)
    text = page(owner)
    assert "left of 100" in text
    assert "90 % used." in text
    assert "limit a day, 100" in text
    assert "3 times" in text
    assert "7 times" in text
    assert "somebody" not in text


def test_a_refusal_is_shown_at_once(owner) -> None:
    what = {"metric": Metric.REQUESTS, "window": Window.DAY}
    set_limit(scope=Scope.USER, subject=str(owner.pk), **what, amount=0, actor=None)
    assert "No limit has turned a request away." in page(owner)
    with pytest.raises(LimitReached):
        reserve(account=account_of(owner), source="request:a", amounts=Amounts(1), kind="text-generation")
    text = page(owner)
    assert "1 time<" in text
    assert "No limit has turned a request away." not in text


@pytest.mark.parametrize(
    "asked", [{}, {"who": "organization", "by": "user"}, {"who": "organization", "by": "key"}, {"range": "24h"}]
)
def test_thirty_rows_take_as_many_queries_as_one(asked: dict[str, str], administrator: User, use: Use) -> None:
    client = signed_in(administrator)
    counts = []
    for many in (1, 30):
        for n in range(many):
            user = User.objects.create_user(f"{many}-{n}@example.com")
            key = create_api_key(owner=user, name=f"key {n}")[0]
            use(user=user, key_id=key.pk, key_label=key.name, deployment=f"model-{n}")
            use(user=administrator, deployment=f"model-{n}")
        client.get(USAGE, asked)
        with CaptureQueriesContext(connection) as queries:
            client.get(USAGE, asked)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 31


def test_csv_is_the_ledger(administrator: User, owner, use: Use) -> None:
    entry = use(user=owner, input_tokens=3, output_tokens=4, compute_seconds=0.5, cost="0.01", outcome="stop")
    assert rows(owner) == [
        list(HEAD),
        [entry.at.isoformat(), "text-generation", "owner@example.com", "", "", "echo", "", "1", "3", "0", "4", "0.5",
         "0", "0.010000000", "USD", "stop"],
    ]  # fmt: skip
    assert len(rows(administrator)) == 1
    assert len(rows(administrator, who="organization")) == 2


def test_csv_runs_nothing(owner, use: Use) -> None:
    use(user=owner, key_label="=cmd()", deployment="-1")
    assert rows(owner)[1][4:6] == ["'=cmd()", "'-1"]


def test_csv_has_every_row_once_in_batches(owner, use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.quotas.usage_csv._BATCH", 3)
    now = timezone.now()
    for n in range(10):
        use(now - timedelta(minutes=n // 4), user=owner, output_tokens=n)
    assert sorted(int(row[10]) for row in rows(owner)[1:]) == list(range(10))


def test_taking_the_use_of_others_is_written_down(administrator: User, owner, use: Use) -> None:
    rows(owner)
    assert not AuditEntry.objects.filter(action="usage.export").exists()
    rows(administrator, who=f"user:{owner.pk}")
    assert AuditEntry.objects.get(action="usage.export").data["whose"] == "owner@example.com"
