"""What a new administrator does with limits: set one, run into it, read why, raise it, go on."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import PATIENCE, Chat
from tests.e2e.stack import PASSWORD, Stack

EMAIL = "limits@example.com"


@pytest.fixture
def page(stack: Stack, browser: Browser) -> Iterator[Page]:
    """Of an administrator who has not used anything yet."""
    clean = f"""
from apps.accounts.models import User
from apps.quotas.models import Limit
for user in User.objects.filter(email={EMAIL!r}):
    Limit.objects.filter(scope="user", subject=user.pk).delete()
    user.delete()
"""
    stack.python(clean)
    stack.manage("create_admin", "--email", EMAIL, "--password", PASSWORD)
    context = browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/accounts/login/")
    page.fill("input[type=email]", EMAIL)
    page.fill("input[type=password]", PASSWORD)
    page.click("button[type=submit].btn--primary")
    page.wait_for_selector("[data-ask-home]")
    yield page
    context.close()
    stack.python(clean)


def test_a_limit_is_set_met_understood_and_raised(page: Page) -> None:
    page.goto("/limits/?scope=user")
    page.fill("#limit-subject", EMAIL)
    page.select_option("#limit-what", "requests:day")
    page.fill("#limit-amount", "1")
    expect(page.locator("#effect")).to_contain_text("Nobody is above it.")
    page.get_by_role("button", name="Save the limit").click()
    expect(page.locator("[data-toasts]")).to_contain_text(f"Limit of {EMAIL} set")

    chat = Chat(page).open(longest=16)
    chat.send("Say yes.")
    chat.wait_written()
    expect(page.locator(".toast--warn")).to_contain_text("100 % of the limit of 1 requests a day")
    chat.send("And now?")
    expect(page.locator("#refusal")).to_contain_text("the limit of 1 requests a day is reached")
    expect(page.locator("#composer-text")).to_have_value("And now?")

    page.goto("/usage/")
    expect(page.locator(".note--danger")).to_contain_text("Requests a day: 100 % used. Requests are refused now.")
    page.get_by_role("link", name="Change the limit").click()
    expect(page.locator("#effect")).to_contain_text("the next request is refused")
    page.fill("#limit-amount", "50")
    expect(page.locator("#effect")).to_contain_text("Nobody is above it.")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toasts]")).to_contain_text("set")

    chat.open(longest=16)
    chat.send("And now?")
    chat.wait_written()


def test_a_limit_is_removed_after_asking(page: Page) -> None:
    page.goto("/limits/?scope=user")
    page.fill("#limit-subject", EMAIL)
    page.fill("#limit-amount", "1000")
    page.get_by_role("button", name="Save the limit").click()
    row = page.locator("table.limits tbody tr", has_text="1,000")
    row.get_by_role("button", name="Remove").click()
    page.locator("[data-confirm-do]").click()
    expect(page.locator("[data-toasts]")).to_contain_text("Limit removed")
