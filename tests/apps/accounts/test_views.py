"""Profile, keys, sign-in and sign-up."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts import keys
from apps.accounts.models import APIKey, User

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PASSWORD = "correct horse battery staple"


@pytest.fixture
def browser(owner):
    client = Client()
    client.force_login(owner)
    return client


def test_profile_needs_a_login():
    assert Client().get(reverse("accounts:profile"))["Location"] == "/accounts/login/?next=/profile/"


def test_name_is_changed(browser, owner):
    browser.post(reverse("accounts:profile"), {"name": "Lin Wei"})
    owner.refresh_from_db()
    assert owner.name == "Lin Wei"


def test_too_long_a_name_is_refused(browser, owner):
    assert browser.post(reverse("accounts:profile"), {"name": "x" * 81}).status_code == 422


def test_secret_of_a_key_is_shown_once(browser, owner):
    page = browser.post(reverse("accounts:create_key"), {"name": "nightly"})
    key = APIKey.objects.get(owner=owner)
    secret = page.context["secret"]
    assert secret in page.content.decode()
    assert page["Cache-Control"] == "no-store"
    again = browser.get(reverse("accounts:profile")).content.decode()
    assert secret not in again
    assert key.prefix in again


def test_key_without_a_name_is_refused(browser):
    assert browser.post(reverse("accounts:create_key"), {"name": " "}).status_code == 422
    assert not APIKey.objects.exists()


def test_owner_revokes_a_key(browser, owner):
    key, _secret = keys.create_api_key(owner=owner, name="old")
    browser.post(reverse("accounts:revoke_key", args=[key.pk]))
    key.refresh_from_db()
    assert not key.is_active


@pytest.mark.parametrize("who", ["member", "stranger"])
def test_others_cannot_revoke_a_key(who, owner, request):
    key, _secret = keys.create_api_key(owner=owner, name="old")
    client = Client()
    client.force_login(request.getfixturevalue(who))
    assert client.post(reverse("accounts:revoke_key", args=[key.pk])).status_code == 404
    key.refresh_from_db()
    assert key.is_active


@pytest.mark.parametrize("rows", [1, 30])
def test_profile_takes_the_same_queries_for_any_number_of_keys(rows, browser, owner, django_assert_num_queries):
    for number in range(rows):
        keys.create_api_key(owner=owner, name=f"key {number}")
    browser.get(reverse("accounts:profile"))
    with django_assert_num_queries(2):  # user, keys
        browser.get(reverse("accounts:profile"))


def test_sign_in_leads_to_the_chat(owner):
    response = Client().post(reverse("account_login"), {"login": "owner@example.com", "password": PASSWORD})
    assert response["Location"] == "/"


def test_wrong_password_is_told_without_saying_which_is_wrong(owner):
    response = Client().post(reverse("account_login"), {"login": "owner@example.com", "password": "no"})
    assert response.status_code == 200
    assert 'role="alert"' in response.content.decode()


def test_sign_up_makes_an_account():
    Client().post(reverse("account_signup"), {"email": "New@Example.com", "password1": PASSWORD})
    assert User.objects.filter(email="new@example.com").exists()


def test_closed_sign_up_makes_none(settings):
    settings.SIGNUP_OPEN = False
    page = Client().post(reverse("account_signup"), {"email": "new@example.com", "password1": PASSWORD})
    assert "Sign-up is closed" in page.content.decode()
    assert not User.objects.exists()
    assert "Sign up" not in Client().get(reverse("account_login")).content.decode()


def test_administration_is_offered_to_staff_only(browser, owner):
    assert "/admin/" not in browser.get(reverse("accounts:profile")).content.decode()
    owner.is_staff = True
    owner.save()
    assert "/admin/" in browser.get(reverse("accounts:profile")).content.decode()


@pytest.mark.parametrize("name", ["account_login", "account_signup", "account_reset_password"])
def test_doors_speak_chinese(name):
    page = Client().get(reverse(name), headers={"Accept-Language": "zh-hans"}).content.decode()
    assert 'lang="zh-Hans"' in page


def test_password_is_reset_by_mail(owner, mailoutbox):
    client = Client()
    client.post(reverse("account_reset_password"), {"email": "owner@example.com"})
    link = next(word for word in mailoutbox[0].body.split() if "/password/reset/key/" in word)
    form = client.get(link.partition("testserver")[2], follow=True)
    done = client.post(
        form.request["PATH_INFO"], {"password1": "another long phrase", "password2": "another long phrase"}
    )
    assert done["Location"] == reverse("account_reset_password_from_key_done")
    owner.refresh_from_db()
    assert owner.check_password("another long phrase")
