"""From an invitation to a second factor, as two people do it in two browsers; and how its pages look."""

import base64
import hmac
import struct
import time
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.stack import PASSWORD, Stack
from tests.e2e.test_looks import look, violations

TEAM = "Browser team"


def code_of(secret: str, steps: int = 0) -> str:
    """What an authenticator app shows (RFC 6238), written out here so that the site is not its own witness."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // 30 + steps), "sha1")
    offset = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


@pytest.fixture(scope="module")
def team(stack: Stack) -> str:
    stack.python(f"from apps.accounts.models import Team; Team.objects.get_or_create(name={TEAM!r})")
    return TEAM


@pytest.fixture
def guest(stack: Stack, browser: Browser) -> Iterator[BrowserContext]:
    """Somebody else's browser, who has no account."""
    context = browser.new_context(base_url=stack.url)
    context.set_default_timeout(30_000)
    yield context
    context.close()


def make_link(page: Page, email: str, team: str) -> str:
    page.goto("/people/")
    page.get_by_role("button", name="Invite", exact=True).click()
    page.fill("#invite-email", email)
    page.select_option("#invite-team", label=team)
    page.get_by_role("button", name="Make the link").click()
    return page.locator("#link").inner_text()


def accept(page: Page, link: str, email: str) -> None:
    page.goto(link)
    page.get_by_role("link", name="Make an account").click()
    assert page.input_value("input[type=email]") == email
    page.fill("input[type=password]", PASSWORD)
    page.get_by_role("button", name="Make an account").click()
    page.wait_for_selector("[data-ask-home]")


def give_password(page: Page) -> None:
    if "/reauthenticate/" in page.url:
        page.fill("input[type=password]", PASSWORD)
        page.get_by_role("button", name="Go on").click()


def sign_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")


def sign_in(page: Page, email: str) -> None:
    page.fill("input[type=email]", email)
    page.fill("input[type=password]", PASSWORD)
    page.locator("form .btn--primary").click()


def test_invited_person_joins_chooses_the_team_and_signs_in_with_a_code(
    page: Page, guest: BrowserContext, team: str
) -> None:
    email = f"guest-{uuid.uuid4().hex[:8]}@example.com"
    theirs = guest.new_page()
    accept(theirs, make_link(page, email, team), email)

    theirs.goto("/profile/")
    theirs.select_option("select[name=team]", label="you alone")
    theirs.get_by_role("button", name="Choose").click()
    expect(theirs.locator("[data-toast]")).to_contain_text("counts for you")
    theirs.select_option("select[name=team]", label=team)
    theirs.get_by_role("button", name="Choose").click()
    expect(theirs.locator("[data-toast]")).to_contain_text(team)

    theirs.goto("/accounts/2fa/totp/activate/")
    give_password(theirs)
    secret = theirs.locator("#totp-secret").text_content() or ""
    theirs.fill("input[name=code]", code_of(secret))
    theirs.get_by_role("button", name="Turn on").click()
    expect(theirs.locator(".codes span")).to_have_count(10)

    sign_out(theirs)
    sign_in(theirs, email)
    theirs.fill("input[name=code]", code_of(secret, 1))  # a code is taken once; the next one is taken early
    theirs.get_by_role("button", name="Sign in").click()
    theirs.wait_for_selector("[data-ask-home]")

    page.goto(f"/people/?q={email}")
    expect(page.locator("tbody tr")).to_contain_text([team])


def test_a_passkey_signs_in_alone(guest: BrowserContext, page: Page, team: str) -> None:
    """Under the site's own Content-Security-Policy, with an authenticator that Chromium plays."""
    email = f"passkey-{uuid.uuid4().hex[:8]}@example.com"
    theirs = guest.new_page()
    refused: list[str] = []
    theirs.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)
    protocol = guest.new_cdp_session(theirs)
    protocol.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    protocol.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    accept(theirs, make_link(page, email, team), email)
    theirs.goto("/accounts/2fa/passkeys/add/")
    give_password(theirs)
    theirs.fill("input[name=name]", "laptop")
    theirs.get_by_role("button", name="Add").click()
    theirs.wait_for_url("**/accounts/2fa/recovery-codes/")
    sign_out(theirs)
    theirs.get_by_role("button", name="Sign in with a passkey").click()
    theirs.wait_for_selector("[data-ask-home]")
    assert refused == []


def test_a_link_that_was_used_says_so(page: Page, guest: BrowserContext, team: str) -> None:
    theirs = guest.new_page()
    theirs.goto("/invitations/made-up/")
    expect(theirs.get_by_role("heading")).to_have_text("This invitation cannot be used")
    assert violations(theirs) == []


@pytest.fixture(scope="module")
def pages(stack: Stack, team: str) -> list[str]:
    code = f"""
from apps.accounts.invitations import invite
from apps.accounts.models import Membership, Team, User
boss = User.objects.get(email="browser@example.com")
team = Team.objects.get(name={TEAM!r})
Membership.objects.get_or_create(team=team, user=boss, role="owner")
invite(actor=boss, team=team)
print(boss.pk, team.pk)
"""
    person, team_id = stack.python(code).strip().splitlines()[-1].split()
    return [
        "/people/", "/people/?q=nobody-at-all", f"/people/{person}/", "/teams/", f"/teams/{team_id}/", "/organization/",
        "/profile/sessions/", "/accounts/2fa/", "/accounts/2fa/passkeys/", "/accounts/reauthenticate/",
    ]  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_and_nothing_is_cut(theme: str, width: int, page: Page, pages: list[str]) -> None:
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 844})
    for path in pages:
        look(page, path)


def test_dialogs_open_by_keyboard_and_ask_first(page: Page, pages: list[str]) -> None:
    page.goto("/people/")
    page.get_by_role("button", name="Invite", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#invite-dialog")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#invite-dialog")).to_be_hidden()
    page.goto(pages[4])
    page.get_by_role("button", name="Delete").press("Enter")
    expect(page.locator("[data-confirm-do]")).to_be_disabled()
    page.fill("#confirm-typed", TEAM)
    expect(page.locator("[data-confirm-do]")).to_be_enabled()
    assert violations(page) == []
