"""What a new administrator goes through with somebody they invite: the link, the account, a limit, running into it, the
message (what, until when, whom to ask), raising it, going on. In both languages and themes, wide and on a phone; every
page on the way is looked at. E2E_SHOTS names a folder that gets a picture of each."""

import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import PATIENCE, Chat
from tests.e2e.stack import PASSWORD, Stack
from tests.e2e.test_looks import overflow, violations

TEAM = "Newcomers"
SHOTS = os.environ.get("E2E_SHOTS", "")


@dataclass(frozen=True)
class Words:
    """What the pages say."""

    not_mailed: str
    was_set: str
    warned: str
    is_reached: str
    until: str
    ask: str
    used_up: str
    nobody: str


WORDS = {
    "en-US": Words(
        not_mailed="there is no mail server, or it did not take it. Give {email} this link yourself.",
        was_set="Limit of {email} set",
        warned="Your account: 100 % of the limit of 1 requests a day are used.",
        is_reached="Your account: the limit of 1 requests a day is reached.",
        until=r"It is free again on \w+\.? \d+, \d{4}, midnight\.",
        ask=r"To have it raised, ask .*browser@example\.com",
        used_up="Requests a day: 100 % used. Requests are refused now.",
        nobody="Nobody is above it.",
    ),
    "zh-CN": Words(
        not_mailed="请自行将此链接交给 {email}。",
        was_set="已设置 {email} 的限额",
        warned="你的账户：限额（每天 1 请求）已用去 100 %。",
        is_reached="你的账户：已达到限额（每天 1 请求）。",
        until=r"将于 \d{4}年\d+月\d+日 .*恢复",
        ask=r"如需提高限额，请联系 .*browser@example\.com",
        used_up="每天请求数：已用 100%。 请求目前会被拒绝。",
        nobody="目前没有人超出。",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def clean(stack: Stack) -> Iterator[None]:
    stack.python(f"from apps.accounts.models import Team; Team.objects.get_or_create(name={TEAM!r})")
    yield
    stack.python(f"""
from apps.accounts.models import Team, User
from apps.quotas.models import Limit
guests = User.objects.filter(email__startswith="newcomer-")
Limit.objects.filter(scope="user", subject__in=[str(one.pk) for one in guests]).delete()
guests.delete()
Team.objects.filter(name={TEAM!r}).delete()
""")


@pytest.fixture
def open_page(stack: Stack, browser: Browser) -> Iterator[Callable[..., Page]]:
    """A page in a browser of its own, whose scripts must not fail."""
    contexts, errors = [], []

    def make(**options: object) -> Page:
        context = browser.new_context(base_url=stack.url, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    yield make
    for context in contexts:
        context.close()
    assert errors == []


@dataclass
class Eye:
    """Looks at what is on the screen."""

    name: str
    count: int = 0

    def see(self, page: Page, what: str) -> None:
        page.wait_for_load_state("networkidle")
        self.count += 1
        if SHOTS:
            page.screenshot(path=Path(SHOTS) / f"{self.name}-{self.count:02d}-{what}.png", full_page=True)
        assert overflow(page) <= 0, what
        assert violations(page) == [], what


@pytest.mark.parametrize(
    ("language", "theme", "width"),
    [
        ("en-US", "light", 1440),
        pytest.param("en-US", "dark", 390, marks=pytest.mark.slow),
        ("zh-CN", "light", 390),
        pytest.param("zh-CN", "dark", 1440, marks=pytest.mark.slow),
    ],
)
def test_invite_limit_exceed_understand_raise_and_go_on(
    language: str, theme: str, width: int, open_page: Callable[..., Page], signed_in: dict
) -> None:
    words, eye = WORDS[language], Eye(f"{language}-{theme}-{width}")
    looks = {"locale": language, "color_scheme": theme, "viewport": {"width": width, "height": 844}}
    email = f"newcomer-{uuid.uuid4().hex[:8]}@example.com"
    boss, guest = open_page(storage_state=signed_in, **looks), open_page(**looks)

    link = invite(boss, eye, email, words)
    accept(guest, eye, link, email)
    limit(boss, eye, email, words)
    exceed(guest, eye, words)
    raise_limit(boss, eye, email, words)
    ask(guest, "And now?").wait_written()
    eye.see(guest, "goes-on")


def invite(page: Page, eye: Eye, email: str, words: Words) -> str:
    page.goto("/people/")
    eye.see(page, "people")
    page.locator("[data-dialog-open=invite-dialog]").click()
    page.fill("#invite-email", email)
    page.select_option("#invite-team", label=TEAM)
    eye.see(page, "invite")
    page.locator("#invite-dialog button[type=submit]").click()
    expect(page.locator(".note--ok")).to_contain_text(words.not_mailed.format(email=email))
    link = page.locator("#link").inner_text()
    eye.see(page, "link")
    return link


def accept(page: Page, eye: Eye, link: str, email: str) -> None:
    page.goto(link)
    eye.see(page, "invitation")
    page.locator("a.btn--primary").click()
    expect(page.locator("input[type=email]")).to_have_value(email)
    page.fill("input[type=password]", PASSWORD)
    eye.see(page, "sign-up")
    page.locator("form .btn--primary").click()
    page.wait_for_selector("[data-ask-home]")
    eye.see(page, "first-page")


def limit(page: Page, eye: Eye, email: str, words: Words) -> None:
    page.goto(f"/people/?q={email}")
    page.locator("tbody a").first.click()
    eye.see(page, "person")
    page.locator(".page__head a[href^='/limits/']").click()
    eye.see(page, "limits-of-person")
    page.select_option("#limit-what", "requests:day")
    page.fill("#limit-amount", "1")
    expect(page.locator("#effect")).to_contain_text(words.nobody)
    eye.see(page, "limit-preview")
    page.locator("[data-limit-form] button[type=submit]").click()
    expect(page.locator("[data-toasts]")).to_contain_text(words.was_set.format(email=email))
    eye.see(page, "limit-set")


def ask(page: Page, text: str) -> Chat:
    """In a new chat, for a short answer; on a phone the settings are behind a drawer."""
    page.goto("/chat/")
    page.wait_for_selector("[data-composer][data-ready]")
    page.evaluate("document.querySelector('#max_tokens').value = 32")
    chat = Chat(page)
    chat.send(text)
    return chat


def exceed(page: Page, eye: Eye, words: Words) -> None:
    """One request is let through, the next is not: the message says what, until when and whom to ask."""
    chat = ask(page, "Say yes.")
    chat.wait_written()
    warning = page.locator(".toast--warn")
    expect(warning).to_contain_text(words.warned)
    assert not _overlap(warning.bounding_box(), page.locator(".composer").bounding_box())
    eye.see(page, "warned")
    chat.send("And now?")
    refusal = page.locator("#refusal")
    expect(refusal).to_contain_text(words.is_reached)
    expect(refusal).to_contain_text(re.compile(words.until))
    expect(refusal).to_contain_text(re.compile(words.ask))
    expect(page.locator("#composer-text")).to_have_value("And now?")
    eye.see(page, "refused")
    page.goto("/usage/")
    expect(page.locator(".note--danger")).to_contain_text(words.used_up)
    expect(page.locator(".note--danger a[href^='mailto:']")).to_be_visible()
    expect(page.locator("section.panel", has=page.locator("#refused-title")).locator("li")).to_have_count(1)
    eye.see(page, "usage")


def raise_limit(page: Page, eye: Eye, email: str, words: Words) -> None:
    page.goto("/limits/?scope=user")
    eye.see(page, "limits")
    panel = page.locator("section.panel", has=page.get_by_role("heading", name=email))
    panel.locator("a[href*='#set']").first.click()
    expect(page.locator("#effect .note--warn")).to_be_visible()
    page.fill("#limit-amount", "50")
    expect(page.locator("#effect")).to_contain_text(words.nobody)
    eye.see(page, "raise")
    page.keyboard.press("Enter")
    expect(page.locator("[data-toasts]")).to_contain_text(words.was_set.format(email=email))
    eye.see(page, "raised")


def _overlap(one: Any, other: Any) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "width"), ("y", "height"))
    )
