"""The limits page: set, change, remove, presets, prices; what a limit would do is said before."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.keys import create_api_key
from apps.accounts.models import Organization, Team, User
from apps.audit.models import AuditEntry
from apps.console import history
from apps.quotas import limits, units
from apps.quotas.forms import SPENT
from apps.quotas.models import Limit, Metric, Price, Scope, Window
from apps.quotas.prices import set_price
from apps.quotas.services import set_limit
from tests.apps.quotas.conftest import Use, signed_in

pytestmark = pytest.mark.django_db
LIMITS = "/limits/"


@pytest.fixture
def browser(administrator: User) -> Client:
    return signed_in(administrator)


def page(browser: Client, **asked: str) -> str:
    answer = browser.get(LIMITS, asked)
    assert answer.status_code == 200
    return answer.content.decode()


def effect(browser: Client, **asked: str) -> str:
    return " ".join(browser.get("/limits/effect/", asked).content.decode().split())


def asked(
    scope: str = "user", subject: str = "", what: str = "output_tokens:day", amount: str = "100"
) -> dict[str, str]:
    return {"scope": scope, "subject": subject, "what": what, "amount": amount}


def stored() -> list[tuple[Any, ...]]:
    return list(Limit.objects.order_by("pk").values_list("scope", "subject", "metric", "window", "amount"))


def said() -> list[str]:
    return [history.line(entry).what for entry in AuditEntry.objects.order_by("pk")]


@pytest.mark.parametrize("address", [LIMITS, "/limits/effect/"])
def test_only_administrators_look(address: str, owner, stranger, administrator: User) -> None:
    people = [owner, stranger, administrator]
    assert [signed_in(each).get(address).status_code for each in people] == [404, 404, 200]


def test_nothing_is_set_yet(browser: Client) -> None:
    assert "No limits yet" in page(browser)
    assert "Nothing has a price" in page(browser)


def test_a_limit_is_set_changed_and_removed(browser: Client, owner) -> None:
    pk = str(owner.pk)
    answer = browser.post("/limits/set/", asked(subject="OWNER@example.com", amount="1.5k"))
    assert (answer.status_code, answer["Location"]) == (302, f"/limits/?who=user:{pk}")
    assert stored() == [("user", pk, "output_tokens", "day", 1500)]
    text = page(browser, who=f"user:{pk}")
    assert "1,500" in text
    assert "admin@example.com" in text
    browser.post("/limits/set/", asked(subject=owner.email) | {"unlimited": "on"})
    assert stored() == [("user", pk, "output_tokens", "day", None)]
    browser.post(f"/limits/{Limit.objects.get().pk}/remove/")
    assert stored() == []
    assert all("…" not in sentence for sentence in said())


def test_a_limit_is_for_whom_it_names(browser: Client, team: Team, owner) -> None:
    key = create_api_key(owner=owner, name="nightly")[0]
    browser.post("/limits/set/", asked("organization", "ignored"))
    browser.post("/limits/set/", asked("team"))
    browser.post("/limits/set/", asked("team", "quality"))
    browser.post("/limits/set/", asked("key", "nightly"))
    browser.post("/limits/set/", asked("key", f"{key.prefix}…", "requests:minute"))
    assert [row[:2] for row in stored()] == [
        ("organization", ""), ("team", ""), ("team", str(team.pk)), ("key", str(key.pk)), ("key", str(key.pk)),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "called"), [("", "Organisation"), ("ACME", "ACME")])
def test_an_organisation_without_a_name_is_called_something(browser: Client, name: str, called: str) -> None:
    Organization.objects.update_or_create(pk=Organization.current().pk, defaults={"name": name})
    answer = browser.post("/limits/set/", asked("organization"), follow=True)
    assert [str(message) for message in answer.context["messages"]] == [f"Limit of {called} set"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"subject": "nobody@example.com"}, "There is none with this name."),
        ({"amount": "a lot"}, "Write a number"),
        ({"amount": ""}, "Write a number"),
        ({"amount": "10 h"}, "Write a number"),
        ({"amount": "99999999999999999999"}, "Write a number"),
    ],
)
def test_what_is_wrong_is_told_and_what_was_typed_is_kept(wrong: dict[str, str], told: str, browser: Client) -> None:
    answer = browser.post("/limits/set/", asked() | wrong)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert told in text
    assert all(not value or f'value="{value}"' in text for value in wrong.values())
    assert stored() == []


def test_what_cannot_be_limited_is_refused(browser: Client) -> None:
    assert browser.post("/limits/set/", asked(what="stored_bytes:day")).status_code == 422
    assert browser.post("/limits/set/", asked(what="cost:day")).status_code == 422


def test_the_effect_is_told_before(browser: Client, owner, member, use: Use) -> None:
    for user, tokens in ((owner, 150), (member, 90)):
        use(user=user, output_tokens=tokens)
    assert "Used now: 150." in effect(browser, **asked(subject=owner.email))
    assert "the next request is refused" in effect(browser, **asked(subject=owner.email))
    assert "Nobody is above it." in effect(browser, **asked(subject=owner.email, amount="151"))
    everybody = effect(browser, **asked(amount="90"))
    assert "2 people are already above it" in everybody
    assert owner.email in everybody
    assert "1 person is already above it" in effect(browser, **asked())
    assert "Write a number" in effect(browser, **asked(amount="x"))
    assert stored() == []


def test_defaults_and_own_limits_are_shown_apart(browser: Client, administrator: User, owner) -> None:
    for subject, amount in (("", 100), (str(owner.pk), 200)):
        set_limit(
            scope=Scope.USER,
            subject=subject,
            metric=Metric.REQUESTS,
            window=Window.DAY,
            amount=amount,
            actor=administrator,
        )
    holders = browser.get(LIMITS, {"scope": "user"}).context["holders"]
    assert [(each.is_default, [row.limit.amount for row in each.rows]) for each in holders] == [
        (True, [100]), (False, [200]),
    ]  # fmt: skip
    Limit.objects.filter(amount=200).delete()
    inherited = browser.get(LIMITS, {"who": f"user:{owner.pk}"}).context["holders"]
    assert [(row.limit.amount, row.is_inherited) for row in inherited[0].rows] == [(100, True)]


def test_presets_take_the_place_of_what_was_there(browser: Client, team: Team) -> None:
    browser.post("/limits/set/", asked("team", team.name, "requests:month"))
    browser.post("/limits/preset/", {"scope": "team", "subject": team.name, "preset": "free"})
    assert ("requests", "month") not in [row[2:4] for row in stored()]
    assert Limit.objects.filter(subject=team.pk, set_by="preset free").count() == 8
    browser.post("/limits/preset/", {"scope": "team", "subject": team.name, "preset": "unlimited"})
    assert stored() == []
    assert browser.post("/limits/preset/", {"scope": "team", "preset": "x"}).status_code == 422


def test_prices_are_set_for_what_people_name(browser: Client, deployment) -> None:
    organization = Organization.current()
    organization.currency = "EUR"
    organization.save()
    browser.post("/prices/set/", {"deployment": "echo", "metric": "output_tokens", "price": "2.5"})
    assert Price.objects.get().per_unit == Decimal("0.0000025")
    assert "2.50 EUR for 1 million output tokens" in page(browser)
    browser.post(f"/prices/{Price.objects.get().pk}/remove/")
    assert not Price.objects.exists()
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")][-2:] == ["price.set", "price.remove"]
    for wrong in (
        {"price": "-1"},
        {"price": ""},
        {"price": "1", "deployment": "none"},
        {"price": "1", "metric": "stored_bytes"},
    ):
        assert browser.post("/prices/set/", {"metric": "output_tokens"} | wrong).status_code == 422


def test_a_price_counts_from_then_on(administrator: User, use: Use) -> None:
    before = use(output_tokens=10**6)
    set_price(metric=Metric.OUTPUT_TOKENS, price=Decimal(4), actor=administrator)
    before.refresh_from_db()
    assert before.cost == 0


@pytest.mark.parametrize("scope", ["organization", "team", "user", "key"])
def test_thirty_rows_take_as_many_queries_as_one(
    scope: str, browser: Client, administrator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a running site, where the limits are read once a second and counters are known from the first look on."""
    monkeypatch.setattr(limits, "MAX_AGE", 60)
    counts = []
    for many in (1, 30):
        for n in range(many):
            subject = subject_of(scope, f"{many}-{n}")
            window = list(Window)[n % 4] if scope == "organization" else Window.DAY
            metric = SPENT[n // 4 % 4] if scope == "organization" else Metric.REQUESTS
            set_limit(scope=Scope(scope), subject=subject, metric=metric, window=window, amount=5, actor=administrator)
            Price.objects.create(deployment=f"model {many} {n}", metric=Metric.REQUESTS, per_unit=1)
        browser.get(LIMITS, {"scope": scope})
        with CaptureQueriesContext(connection) as queries:
            browser.get(LIMITS, {"scope": scope})
        counts.append(len(queries))
    assert counts[0] == counts[1]


def subject_of(scope: str, name: str) -> str:
    if scope == "organization":
        return ""
    if scope == "team":
        return str(Team.objects.create(name=name).pk)
    user = User.objects.create_user(f"{name}@example.com")
    return str(user.pk if scope == "user" else create_api_key(owner=user, name=name)[0].pk)


@pytest.mark.parametrize(
    ("metric", "text", "value"),
    [
        ("requests", "600", 600), ("requests", "1,500", 1500), ("output_tokens", "1.5M", 1_500_000),
        ("input_tokens", "180k", 180_000),
        ("compute_seconds", "10 h", 36_000), ("compute_seconds", "90", 90), ("compute_seconds", "1.5 min", 90),
        ("stored_bytes", "50 GB", 50 * 2**30), ("stored_bytes", "512 B", 512), ("requests", "0", 0),
    ],
)  # fmt: skip
def test_amounts_are_read_as_they_are_written(metric: str, text: str, value: int) -> None:
    assert units.parse(metric, text) == value
    assert units.parse(metric, units.amount(metric, value)) == value


@pytest.mark.parametrize(
    ("metric", "text"), [("requests", "5 h"), ("compute_seconds", "5 GB"), ("requests", "-1"), ("requests", "²")]
)
def test_amounts_of_another_kind_are_refused(metric: str, text: str) -> None:
    with pytest.raises(ValueError, match=".*"):
        units.parse(metric, text)
