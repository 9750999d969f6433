"""The microphone of a classifier's page by itself: what is recorded and sent, and what is said where nothing can be."""

import mimetypes
from collections.abc import Callable, Iterator
from email import message_from_bytes
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.template.loader import render_to_string
from playwright.sync_api import Browser, Page, Playwright, Route, expect

from apps.teach.models import Classifier, Label
from contracts import clips
from contracts.clips import MOST_SECONDS

STATIC = Path(__file__).resolve().parent.parent.parent / "static"
SECURE, PLAIN = "https://teach.test", "http://teach.test"
FAKE = ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream"]  # which beeps each second
Opened = Callable[..., Page]


def markup(most: float) -> str:
    """The parts of the page, as they are."""
    around = {"classifier": Classifier(), "label": Label(pk=7, name="yes")}
    parts = [
        render_to_string("teach/_record_example.html", around),
        render_to_string("teach/_record_strings.html", {"most": f"{most:g}"}),
    ]
    script = '<script src="/static/js/teach.js" type="module"></script>'
    return f"<!doctype html><html lang=en><title>Clips</title>{''.join(parts)}{script}"


@pytest.fixture(scope="module")
def listening(playwright: Playwright, chromium_path: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=chromium_path, args=FAKE)
    yield browser
    browser.close()


@pytest.fixture
def sent() -> list[bytes]:
    """Bodies of forms."""
    return []


@pytest.fixture
def opened(listening: Browser, sent: list[bytes]) -> Iterator[Opened]:
    contexts = []
    policy = "; ".join(f"{name} {' '.join(of)}" for name, of in settings.CONTENT_SECURITY_POLICY["DIRECTIVES"].items())

    def open_at(address: str = SECURE, *, may: bool = True, most: float = MOST_SECONDS) -> Page:
        def answer(route: Route) -> None:
            path = route.request.url.removeprefix(address)
            file = STATIC / path.removeprefix("/static/")
            if route.request.method == "POST":
                sent.append(route.request.post_data_buffer or b"")
            if path.startswith("/static/") and file.is_file():
                kind = mimetypes.guess_type(file.name)[0]
                return route.fulfill(body=file.read_bytes(), content_type=kind)
            headers = {"Content-Security-Policy": policy}
            return route.fulfill(body=markup(most), content_type="text/html", headers=headers)

        context = listening.new_context(permissions=["microphone"] if may else [])
        contexts.append(context)
        context.route(f"{address}/**", answer)
        page = context.new_page()
        page.goto(f"{address}/teach/")
        return page

    yield open_at
    for context in contexts:
        context.close()


def clip_of(body: bytes) -> bytes:
    """The file of a form."""
    boundary = body.partition(b"\r\n")[0][2:]
    head = b'Content-Type: multipart/form-data; boundary="' + boundary + b'"\r\n\r\n'
    parts = {part.get_param("name", header="content-disposition"): part for part in
             message_from_bytes(head + body).get_payload()}  # type: ignore[union-attr]  # fmt: skip
    assert parts["label"].get_payload() == "7"
    content: bytes = parts["files"].get_payload(decode=True)
    return content


def test_what_is_spoken_is_sent_as_a_clip_by_keyboard(opened: Opened, sent: list[bytes]) -> None:
    page = opened()
    button = page.get_by_role("button", name="Record an example of yes")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Recording: speak now.")
    expect(page.locator("button")).to_have_text("Stop")
    page.wait_for_timeout(1500)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    samples = clips.read(clip_of(sent[0]))
    assert 0.5 < len(samples) / clips.RATE <= MOST_SECONDS and np.abs(samples).max() > 0.01
    expect(page.get_by_role("button", name="Record an example of yes")).to_be_focused()  # for the next one


def test_it_ends_by_itself(opened: Opened, sent: list[bytes]) -> None:
    page = opened(most=1)
    with page.expect_navigation():
        page.click("button")
    assert len(clips.read(clip_of(sent[0]))) <= clips.RATE


def test_a_microphone_that_is_refused_is_told(opened: Opened, sent: list[bytes]) -> None:
    page = opened(may=False)
    page.click("button")
    expect(page.get_by_role("status")).to_contain_text("The browser refused the microphone.")
    expect(page.locator("button")).to_have_text("Record")
    assert sent == []


def test_a_page_over_plain_http_says_where_to_open_it(opened: Opened, sent: list[bytes]) -> None:
    page = opened(PLAIN)
    page.click("button")
    expect(page.get_by_role("status")).to_contain_text("over https and on localhost only")
    assert sent == []
