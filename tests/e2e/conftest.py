"""A running installation, a browser, and a person who is signed in.

STACK_URL and STACK_VAR point the tests to an installation that runs already.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.e2e.stack import EMAIL, PASSWORD, Stack, begin_stack, wait_until_ready

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 90_000  # ms; a small machine writes slowly while other tests run
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The charts first: they need no installation, which starts meanwhile."""
    for item in items:
        if "/e2e/" in item.nodeid or item.nodeid.startswith("e2e/"):
            item.add_marker(pytest.mark.e2e)
    items.sort(key=lambda item: "e2e/test_chart.py" not in item.nodeid)


@pytest.fixture(scope="session", autouse=True)
def beginning(request: pytest.FixtureRequest) -> Iterator[Stack | None]:
    """It starts when the first test begins, if any of them asks for it."""
    if not any("stack" in item.fixturenames for item in request.session.items):
        yield None
        return
    request.getfixturevalue("chromium_path")
    url = os.environ.get("STACK_URL")
    starting = Stack(url, Path(os.environ["STACK_VAR"])) if url else begin_stack()
    yield starting
    starting.stop()


@pytest.fixture(scope="session")
def stack(beginning: Stack) -> Stack:
    wait_until_ready(beginning)
    beginning.manage("create_admin", "--email", EMAIL, "--password", PASSWORD)
    return beginning


@pytest.fixture(scope="session")
def stack_url(stack: Stack) -> str:
    return stack.url


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """One for all browsers: a thread can have no second."""
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="session")
def browser(playwright: Playwright, chromium_path: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def signed_in(stack: Stack, browser: Browser) -> dict:
    """Cookies of the signed-in person."""
    context = browser.new_context(base_url=stack.url)
    page = context.new_page()
    page.goto("/accounts/login/")
    page.fill("input[type=email]", EMAIL)
    page.fill("input[type=password]", PASSWORD)
    page.click("button[type=submit].btn--primary")
    page.wait_for_selector("[data-ask-home]")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def context(stack: Stack, browser: Browser, signed_in: dict) -> Iterator[BrowserContext]:
    context = browser.new_context(
        base_url=stack.url, storage_state=signed_in, viewport={"width": 1440, "height": 900}, accept_downloads=True
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=stack.url)
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which any error of a script fails the test."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert errors == []


class Chat:
    """What a person does on the chat page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, longest: int = 64) -> "Chat":
        self.page.goto("/chat/")
        self.page.wait_for_selector("[data-composer][data-ready]")
        self.set_longest(longest)
        return self

    def set_longest(self, tokens: int) -> None:
        self.page.locator("#max_tokens").fill(str(tokens))

    def send(self, text: str) -> None:
        self.page.fill("#composer-text", text)
        self.page.press("#composer-text", "Enter")

    def wait_written(self, answers: int = 1) -> None:
        """Wait until that many answers are there and stored."""
        self.page.wait_for_function(
            "n => document.querySelectorAll('#thread [data-role=assistant]').length === n"
            " && !document.querySelector('#thread [data-request-id]')",
            arg=answers,
        )

    def wait_writing(self, characters: int = 20) -> None:
        self.page.wait_for_function(
            "n => (document.querySelector('#thread [data-request-id] [data-markdown]')?.textContent.length ?? 0) >= n",
            arg=characters,
        )

    def stored(self) -> dict:
        """The conversation as the server exports it."""
        return self.page.request.get(self.page.url + "export/json/").json()

    def shown_source(self, number: int = -1) -> str:
        """The text of an answer as its copy button gives it."""
        self.page.locator("#thread [data-role=assistant]").nth(number).locator("[data-copy]").click()
        self.page.wait_for_selector("[data-toast]")
        return self.page.evaluate("navigator.clipboard.readText()")


@pytest.fixture
def chat(page: Page) -> Chat:
    return Chat(page)
