"""The keys page: a secret is shown once, to its owner; administrators see all keys and may revoke them."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts import keys
from apps.accounts.models import APIKey, User
from apps.quotas.models import Limit, Metric, Scope, Window
from apps.quotas.services import set_limit
from apps.serving.models import Deployment

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PAGE = "/keys/"
NIGHTLY = {"name": "nightly", "scopes": ["chat", "models:read"], "days": "30"}


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def browser(owner: User) -> Client:
    return browser_of(owner)


@pytest.fixture
def administrator(db: None) -> User:
    return User.objects.create_superuser("root@example.com")


def test_secret_of_a_key_is_shown_once(browser: Client, owner: User, deployment: Deployment) -> None:
    page = browser.post(PAGE, {**NIGHTLY, "deployments": ["echo"]})
    key = APIKey.objects.get()
    assert (key.owner, key.name, key.scopes, key.deployments) == (owner, "nightly", ["chat", "models:read"], ["echo"])
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)
    assert page.context["secret"] in page.content.decode()
    assert page["Cache-Control"] == "no-store"
    again = browser.get(PAGE).content.decode()
    assert page.context["secret"] not in again
    assert key.prefix in again


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": " "}, "Give the key a name"),
        ({"scopes": []}, "Choose what the key may be used for"),
        ({"scopes": ["admin"]}, "admin is not one of the available choices"),
        ({"deployments": ["nowhere"]}, ""),
        ({"days": "-1"}, ""),
    ],
)
def test_nonsense_is_refused(browser: Client, wrong: dict[str, object], said: str) -> None:
    page = browser.post(PAGE, NIGHTLY | wrong)
    assert page.status_code == 422
    assert said in page.content.decode()
    assert not APIKey.objects.exists()


def test_owner_rotates_a_key(browser: Client, owner: User) -> None:
    old, _ = keys.create_api_key(owner=owner, name="nightly")
    page = browser.post(reverse("keys:rotate", args=[old.pk]), {"hours": "1"})
    old.refresh_from_db()
    assert timedelta(minutes=59) < old.expires_at - timezone.now() <= timedelta(hours=1)
    assert keys.authenticate_key(page.context["secret"]).replaces == old
    assert page["Cache-Control"] == "no-store"


def test_limits_of_a_key_outlive_its_rotation(browser: Client, owner: User) -> None:
    old, _ = keys.create_api_key(owner=owner, name="nightly")
    limit = {"metric": Metric.REQUESTS, "window": Window.DAY, "amount": 5}
    set_limit(scope=Scope.KEY, subject=str(old.pk), **limit, actor=None)
    page = browser.post(reverse("keys:rotate", args=[old.pk]), {"hours": "1"})
    new = keys.authenticate_key(page.context["secret"])
    assert Limit.objects.filter(scope=Scope.KEY, subject=str(new.pk), **limit).count() == 1


def test_a_key_that_has_ended_is_not_rotated(browser: Client, owner: User) -> None:
    old, _ = keys.create_api_key(owner=owner, name="nightly")
    keys.revoke_api_key(key=old)
    page = browser.post(reverse("keys:rotate", args=[old.pk]), {"hours": "1"}, follow=True)
    assert "has ended. Make a new one instead." in page.content.decode()
    assert APIKey.objects.count() == 1


@pytest.mark.parametrize("who", ["owner", "administrator"])
def test_owner_and_administrator_revoke_a_key(who: str, owner: User, request: pytest.FixtureRequest) -> None:
    key, _ = keys.create_api_key(owner=owner, name="old")
    browser_of(request.getfixturevalue(who)).post(reverse("keys:revoke", args=[key.pk]))
    key.refresh_from_db()
    assert not key.is_active


@pytest.mark.parametrize(
    ("verb", "who"),
    [
        ("rotate", "member"),
        ("rotate", "stranger"),
        ("rotate", "administrator"),
        ("revoke", "member"),
        ("revoke", "stranger"),
    ],
)
def test_keys_of_others_do_not_exist(verb: str, who: str, owner: User, request: pytest.FixtureRequest) -> None:
    key, _ = keys.create_api_key(owner=owner, name="old")
    answer = browser_of(request.getfixturevalue(who)).post(reverse(f"keys:{verb}", args=[key.pk]), {"hours": "1"})
    assert answer.status_code == 404
    key.refresh_from_db()
    assert (key.is_active, key.expires_at) == (True, None)


def test_everybodys_keys_are_for_administrators(owner: User, stranger: User, administrator: User) -> None:
    key, _ = keys.create_api_key(owner=owner, name="old")
    assert key.prefix in browser_of(administrator).get(PAGE, {"who": "all"}).content.decode()
    assert key.prefix not in browser_of(administrator).get(PAGE).content.decode()
    assert key.prefix not in browser_of(stranger).get(PAGE, {"who": "all"}).content.decode()


@pytest.mark.parametrize("rows", [1, 30])
def test_page_takes_the_same_queries_for_any_number_of_keys(
    rows: int, browser: Client, owner: User, django_assert_num_queries
) -> None:
    for number in range(rows):
        keys.create_api_key(owner=owner, name=f"key {number}")
    browser.get(PAGE)
    # user, teams, teams one administers, deployments, number of keys, keys, open incidents, notices
    with django_assert_num_queries(8):
        browser.get(PAGE)
