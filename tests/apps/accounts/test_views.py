"""Profile, sign-in and sign-up."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Role, User

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
    owner.role = Role.OWNER
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
