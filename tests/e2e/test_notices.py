"""The bell: live, by keyboard, on a phone; what is opened is read."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.stack import EMAIL, Stack

BELL, PANEL = "[data-bell]", "#notices-panel"


def tell(stack: Stack, name: str) -> None:
    stack.python(f"""
from apps.accounts.models import User
from apps.notices.services import notify
owner = User.objects.get(email="{EMAIL}")
subject = f"user:{{owner.pk}}:requests:{name}"
notify(to=[owner], kind="limit", subject=subject, message="{name}", level="warning", link="/usage/")
""")


@pytest.fixture(autouse=True)
def none_yet(stack: Stack) -> None:
    stack.python("from apps.notices.models import Notice; Notice.objects.all().delete()")


def test_a_notice_is_told_at_once_and_read_by_being_opened(page: Page, stack: Stack) -> None:
    page.goto("/notices/")
    expect(page.locator("main")).to_contain_text("Nothing has happened yet")
    page.wait_for_timeout(500)  # its socket
    tell(stack, "Alpha")
    expect(page.locator(BELL)).to_have_accessible_name("Notices, 1 unread")
    expect(page.locator("[data-new-notices]")).to_contain_text("1 new")
    expect(page.locator("[data-announce]")).to_have_text("Notices, 1 unread")
    page.locator("[data-new-notices]").click()
    page.locator("main").get_by_role("link", name="Alpha").click()
    page.wait_for_url("**/usage/")
    expect(page.locator(BELL)).to_have_accessible_name("Notices")


def test_by_keyboard(page: Page, stack: Stack) -> None:
    for name in ("Alpha", "Beta"):
        tell(stack, name)
    page.goto("/advisor/")
    page.locator(BELL).focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{PANEL} .notice")).to_have_count(2)
    expect(page.locator(PANEL)).to_be_focused()
    for key, text in (("ArrowDown", "Mark all"), ("ArrowDown", "Beta"), ("End", "All notices"), ("ArrowUp", "Alpha")):
        page.keyboard.press(key)
        expect(page.locator(f"{PANEL} :focus")).to_contain_text(text)
    page.keyboard.press("Escape")
    expect(page.locator(PANEL)).to_be_hidden()
    expect(page.locator(BELL)).to_be_focused()
    page.keyboard.press("Enter")
    page.locator(PANEL).get_by_role("button", name="Mark all as read").click()
    expect(page.locator(BELL)).to_have_accessible_name("Notices")
    expect(page.locator(PANEL)).to_be_focused()


def test_one_by_one_the_focus_goes_on(page: Page, stack: Stack) -> None:
    for name in ("Alpha", "Beta"):
        tell(stack, name)
    page.goto("/notices/")
    page.wait_for_load_state("networkidle")
    buttons = page.locator("main").get_by_role("button", name="Mark as read")
    buttons.first.press("Enter")
    expect(buttons).to_have_count(1)
    expect(page.locator("main :focus")).to_have_accessible_name("Mark as read")
    page.keyboard.press("Enter")
    expect(page.locator("main :focus")).to_contain_text("Alpha")
    expect(page.locator(BELL)).to_have_accessible_name("Notices")


def test_opening_it_takes_no_word_from_the_first_page(page: Page, stack: Stack) -> None:
    """Its field has the focus when the page arrives, not when the panel does."""
    tell(stack, "Alpha")
    page.goto("/")
    expect(page.locator("#ask")).to_be_focused()
    page.locator(BELL).click()
    expect(page.locator(f"{PANEL} .notice")).to_have_count(1)
    expect(page.locator(PANEL)).to_be_focused()


def test_on_a_phone_it_fits(page: Page, stack: Stack) -> None:
    stack.python(f"""
from django.utils import timezone
from apps.accounts.models import User
from apps.notices.models import Notice
owner, now = User.objects.get(email="{EMAIL}"), timezone.now()
one = dict(reader=owner, kind="limit", message="A", created_at=now, happened_at=now)
Notice.objects.bulk_create(Notice(subject=f"user:{{owner.pk}}:a:{{n}}", **one) for n in range(120))
""")
    page.set_viewport_size({"width": 390, "height": 844})
    for path in ("/chat/", "/notices/", "/usage/"):
        page.goto(path)
        expect(page.locator("[data-unread]")).to_have_text("99+")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(BELL).click()
    expect(page.locator(f"{PANEL} .notice")).to_have_count(8)
    box = page.locator(PANEL).bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390 and box["y"] + box["height"] <= 844
