"""Signing in through an identity provider: a real round trip over HTTP to a small issuer on this machine."""

from collections.abc import Iterator

import pytest
from allauth.socialaccount.models import SocialAccount
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from apps.accounts import services
from apps.accounts.invitations import invite
from apps.accounts.models import Membership, Organization, Role, Team, User
from deepseek_web import oidc
from deepseek_web.env import EnvError
from tests.apps.accounts import issuer as issuers
from tests.apps.accounts.conftest import PASSWORD

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

ANN = {"sub": "ann-1", "email": "Ann@Example.com", "email_verified": True, "name": "Ann Lee"}
LOGIN = reverse("openid_connect_login", args=[oidc.PROVIDER_ID])
CALLBACK = reverse("openid_connect_callback", args=[oidc.PROVIDER_ID])


@pytest.fixture
def issuer(settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[issuers.Issuer]:
    cache.clear()
    with issuers.running() as issuer:
        for name, value in {
            "OIDC_ISSUER": f"{issuer.url}/", "OIDC_CLIENT_ID": issuers.CLIENT, "OIDC_CLIENT_SECRET": issuers.SECRET,
            "OIDC_NAME": "Campus", "OIDC_ROLES": "it-staff=admin,guests=viewer",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        settings.SOCIALACCOUNT_PROVIDERS = oidc.providers()
        settings.OIDC_ROLES, settings.OIDC_ROLE_CLAIM = oidc.roles(), "groups"
        issuer.claims = dict(ANN)
        yield issuer


def sign_in(issuer: issuers.Issuer, browser: Client | None = None) -> tuple[Client, HttpResponse]:
    browser = browser or Client()
    sent = browser.post(LOGIN)
    assert sent["Location"].startswith(f"{issuer.url}/authorize?")
    return browser, browser.get(CALLBACK, issuer.authorize(sent["Location"]))


def is_in(browser: Client) -> bool:
    return browser.get("/profile/").status_code == 200


def test_somebody_new_gets_an_account(issuer: issuers.Issuer) -> None:
    browser, back = sign_in(issuer)
    assert (back["Location"], is_in(browser)) == ("/", True)
    user = User.objects.get()
    assert (user.email, user.name, user.role, user.has_usable_password()) == (
        "ann@example.com", "Ann Lee", Role.MEMBER, False,
    )  # fmt: skip
    assert {"/token", "/userinfo"} <= set(issuer.asked)
    again, _ = sign_in(issuer)
    assert (is_in(again), User.objects.count()) == (True, 1)


def test_login_page_names_the_provider(issuer: issuers.Issuer) -> None:
    assert "Sign in with Campus" in Client().get(reverse("account_login")).content.decode()


def test_without_sign_up_only_who_is_invited_comes_in(issuer: issuers.Issuer, boss: User, team: Team) -> None:
    Organization.objects.update_or_create(pk=1, defaults={"is_signup_open": False})
    browser, back = sign_in(issuer)
    assert "Sign-up is closed" in back.content.decode()
    assert (is_in(browser), User.objects.filter(email="ann@example.com").exists()) == (False, False)
    _, token = invite(actor=boss, email="ann@example.com", role=Role.VIEWER, team=team)
    browser.get(reverse("accounts:invitation", args=[token]))
    sign_in(issuer, browser)
    ann = User.objects.get(email="ann@example.com")
    assert (is_in(browser), ann.role, Membership.objects.filter(user=ann, team=team).exists()) == (True, "viewer", True)


def test_provider_may_open_the_door_itself(issuer: issuers.Issuer, boss: User, settings) -> None:
    Organization.objects.update_or_create(pk=1, defaults={"is_signup_open": False})
    settings.OIDC_SIGNUP = True
    browser, _ = sign_in(issuer)
    assert is_in(browser)


@pytest.mark.parametrize(("verified", "joined"), [(True, True), (False, False)])
def test_an_account_of_the_same_address_is_theirs_if_the_provider_vouches(
    verified: bool, joined: bool, issuer: issuers.Issuer
) -> None:
    """Whoever made the account without owning the address is locked out of it."""
    user = User.objects.create_user("ann@example.com", PASSWORD)
    issuer.claims["email_verified"] = verified
    browser, _ = sign_in(issuer)
    assert is_in(browser) == joined
    assert SocialAccount.objects.filter(user=user).exists() == joined
    user.refresh_from_db()
    assert user.has_usable_password() == (not joined)


@pytest.mark.parametrize(
    ("groups", "role"),
    [(["it-staff", "guests"], Role.ADMIN), ("guests", Role.VIEWER), (["others"], Role.MEMBER), (None, Role.MEMBER)],
)
def test_groups_give_a_role(groups: object, role: Role, issuer: issuers.Issuer, boss: User) -> None:
    if groups is not None:
        issuer.claims["groups"] = groups
    sign_in(issuer)
    assert User.objects.get(email="ann@example.com").role == role


def test_a_role_follows_the_groups_and_ownership_does_not(issuer: issuers.Issuer, boss: User) -> None:
    issuer.claims["groups"] = ["it-staff"]
    sign_in(issuer)
    issuer.claims["groups"] = ["guests"]
    sign_in(issuer)
    ann = User.objects.get(email="ann@example.com")
    assert ann.role == Role.VIEWER
    services.transfer_ownership(to=ann, actor=boss)
    sign_in(issuer)
    ann.refresh_from_db()
    assert ann.role == Role.OWNER


def test_the_deactivated_stay_out(issuer: issuers.Issuer, boss: User) -> None:
    sign_in(issuer)
    services.deactivate(user=User.objects.get(email="ann@example.com"), actor=boss)
    browser, back = sign_in(issuer)
    assert (back["Location"], is_in(browser)) == (reverse("account_inactive"), False)


@pytest.mark.parametrize("wrong", ["state", "code", "audience"])
def test_an_answer_that_is_not_for_us_signs_nobody_in(wrong: str, issuer: issuers.Issuer) -> None:
    browser = Client()
    answer = issuer.authorize(browser.post(LOGIN)["Location"])
    if wrong == "audience":
        issuer.audience = "somebody else"
    else:
        answer[wrong] = "made up"
    page = browser.get(CALLBACK, answer)
    assert "Signing in has failed" in page.content.decode()
    assert (is_in(browser), User.objects.count()) == (False, 0)


def test_half_a_configuration_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIDC_ISSUER", "https://id.example.com")
    with pytest.raises(EnvError, match="OIDC_CLIENT_ID"):
        oidc.providers()
    monkeypatch.setenv("OIDC_ROLES", "bosses=owner")
    with pytest.raises(EnvError, match="'bosses' must be admin, member or viewer"):
        oidc.roles()
