"""Second factors, attempts that are limited, and what administrators are asked for."""

import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from apps.accounts import services
from apps.accounts.models import Role, User
from apps.audit.models import AuditEntry
from tests.apps.accounts.conftest import PASSWORD, browser_of, confirm

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LOGIN = reverse("account_login")
SECRET = "JBSWY3DPEHPK3PXP"


@pytest.fixture(autouse=True)
def no_attempts_yet() -> None:
    cache.clear()


def code_of(secret: str, steps: int = 0) -> str:
    """What an authenticator app shows, or will in `steps` half minutes."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def sign_in(browser: Client, email: str, password: str = PASSWORD, **extra: str):
    return browser.post(LOGIN, {"login": email, "password": password}, **extra)


@pytest.mark.django_db(transaction=True)
def test_authenticator_app_is_set_up_and_asked_for(member: User, mailoutbox: list) -> None:
    browser = confirm(browser_of(member))
    page = browser.get(reverse("mfa_activate_totp"))
    secret = page.context["form"].secret
    assert 'src="data:image/svg+xml;base64,' in page.content.decode()
    done = browser.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    assert mailoutbox[0].to == [member.email]
    assert done["Location"] == reverse("mfa_view_recovery_codes")
    stored = Authenticator.objects.get(user=member, type=Authenticator.Type.TOTP)
    assert secret not in str(stored.data)
    assert AuditEntry.objects.filter(action="user.add_totp", actor_id=member.pk).exists()

    stranger = Client()
    assert sign_in(stranger, member.email)["Location"] == reverse("mfa_authenticate")
    assert stranger.get("/profile/").status_code == 302
    assert stranger.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code == 200
    stranger.post(reverse("mfa_authenticate"), {"code": code_of(secret, 1)})
    assert stranger.get("/profile/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_mail_server_that_is_down_stops_no_second_factor(member: User, settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    browser = confirm(browser_of(member))
    secret = browser.get(reverse("mfa_activate_totp")).context["form"].secret
    done = browser.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    assert done["Location"] == reverse("mfa_view_recovery_codes")


def test_a_recovery_code_works_once(member: User) -> None:
    browser = confirm(browser_of(member))
    secret = browser.get(reverse("mfa_activate_totp")).context["form"].secret
    browser.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    code = browser.get(reverse("mfa_view_recovery_codes")).context["unused_codes"][0]
    for status in (200, 302):
        other = Client()
        sign_in(other, member.email)
        other.post(reverse("mfa_authenticate"), {"code": code})
        assert other.get("/profile/").status_code == status


def test_second_factor_wants_the_password_again(member: User) -> None:
    asked = browser_of(member).get(reverse("mfa_activate_totp"))
    assert asked["Location"].startswith(reverse("account_reauthenticate"))


def test_administrators_are_asked_for_one(boss: User, admin: User, member: User) -> None:
    services.update_organization(actor=boss, requires_admin_mfa=True)
    cache.clear()
    assert browser_of(admin).get(reverse("accounts:people"))["Location"] == reverse("mfa_index")
    assert browser_of(admin).get("/console/deployments/")["Location"] == reverse("mfa_index")
    assert browser_of(boss).get("/admin/", follow=False).status_code == 302
    assert browser_of(member).get("/chat/").status_code == 200
    TOTP.activate(admin, SECRET)
    assert browser_of(admin).get(reverse("accounts:people")).status_code == 200


@pytest.mark.parametrize(("role", "code"), [(Role.OWNER, 200), (Role.ADMIN, 403)])
def test_raw_data_is_for_owners(role: Role, code: int, member: User) -> None:
    User.objects.filter(pk=member.pk).update(role=role)
    page = browser_of(member).get("/admin/", follow=True)
    assert page.status_code == code


def test_attempts_at_one_account_are_limited(member: User) -> None:
    for _ in range(5):
        assert "try again later" not in sign_in(Client(), member.email, "wrong").content.decode()
    assert "Too many failed" in sign_in(Client(), member.email).content.decode()
    assert sign_in(Client(), member.email)["Content-Type"].startswith("text/html")


def test_attempts_from_one_address_are_limited(db: None) -> None:
    codes = [sign_in(Client(), f"p{number}@example.com", "wrong").status_code for number in range(31)]
    assert (set(codes[:30]), codes[30]) == ({200}, 429)
    assert sign_in(Client(), "q@example.com", "wrong", REMOTE_ADDR="10.9.8.7").status_code == 200


async def address_seen(peer: str, forwarded: str) -> str:
    """The client's address as the application is told it by uvicorn behind a proxy at 10.0.0.1."""
    seen = []

    async def application(scope, receive, send) -> None:
        seen.append(scope["client"][0])

    server = ProxyHeadersMiddleware(application, trusted_hosts="10.0.0.1")
    headers = [(b"x-forwarded-for", forwarded.encode())]
    await server({"type": "http", "client": (peer, 1), "scheme": "http", "headers": headers}, None, None)
    return seen[0]


async def test_only_the_proxys_word_is_taken_for_an_address() -> None:
    """What the client wrote itself comes before what the proxy adds, and does not count."""
    assert await address_seen("10.0.0.1", "1.2.3.4") == "1.2.3.4"
    assert await address_seen("10.0.0.1", "6.6.6.6, 1.2.3.4") == "1.2.3.4"
    assert await address_seen("5.5.5.5", "1.2.3.4") == "5.5.5.5"


def test_a_header_of_the_client_changes_no_address(member: User) -> None:
    """Django and allauth take the address of the connection, whatever X-Forwarded-For says."""
    for number in range(30):
        sign_in(Client(), f"p{number}@example.com", "wrong", HTTP_X_FORWARDED_FOR=f"10.0.0.{number}")
    assert sign_in(Client(), "q@example.com", "wrong", HTTP_X_FORWARDED_FOR="10.1.1.1").status_code == 429


def test_signing_up_with_a_taken_address_is_told_without_an_error(member: User) -> None:
    page = Client().post(reverse("account_signup"), {"email": member.email, "password1": PASSWORD})
    assert page.status_code == 200
    assert User.objects.filter(email=member.email).count() == 1


def test_command_removes_a_second_factor(member: User) -> None:
    from django.core.management import call_command

    TOTP.activate(member, SECRET)
    call_command("remove_second_factor", member.email)
    assert not Authenticator.objects.filter(user=member).exists()


def test_the_session_of_before_is_not_the_one_of_after(member: User) -> None:
    """A key that somebody else has put into the browser is worth nothing once its person is signed in."""
    browser = Client()
    planted = browser.session
    planted["planted"] = 1
    planted.save()
    assert browser.cookies["sessionid"].value == planted.session_key
    sign_in(browser, member.email)
    assert browser.get("/profile/").status_code == 200
    assert browser.cookies["sessionid"].value != planted.session_key
    assert not planted.exists(planted.session_key)
