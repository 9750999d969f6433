"""A classifier: named, taught from a few lines, asked, given what it doubts, published, gone back to, deleted."""

import pytest
from playwright.sync_api import expect

from tests.e2e.test_search import clean, deploy
from tests.workers import toy_lessons

SQUARES = ["red square", "one large red square", "square small left", "two square"]
CIRCLES = ["circle", "blue circle right", "small circle one", "large circle two green"]


@pytest.fixture(scope="module")
def teacher(stack) -> None:
    """A deployment that learns: random weights, which see words."""
    deploy(stack, "lessons", lambda folder: toy_lessons.build(folder, toy_lessons.base(0)))


def add(page, texts: list[str], label: str) -> None:
    page.fill("#texts", "\n".join(texts))
    page.select_option("#texts-label", label=label)
    page.click("text=Add texts")
    expect(page.locator("[data-toasts]")).to_contain_text("new")


def test_from_two_names_to_an_address(teacher, page) -> None:
    page.goto("/teach/")
    clean(page)
    page.click("[data-dialog-open=new-classifier] >> nth=0")
    page.fill("#classifier-name", "Shapes")
    page.fill("#classifier-labels", "square\ncircle")
    page.click("#new-classifier button[type=submit]")
    page.wait_for_url("**/teach/classifiers/**")
    expect(page.locator("[data-teach] button")).to_be_disabled()
    clean(page)
    add(page, SQUARES, "square")
    add(page, CIRCLES, "circle")
    page.click("[data-teach] button")
    expect(page.locator("#live")).to_contain_text("of 8 examples, each left out once")
    expect(page.locator(".plot")).to_be_visible()

    page.fill("#asked", "large square")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#told .test__row").first).to_contain_text("square")
    clean(page)
    page.click("#told button >> text=square")  # what was asked becomes an example
    expect(page.locator("#live")).to_contain_text("examples have changed")

    add(page, ["two circle red square", "green"], "not known yet: say which to label next")
    expect(page.locator("#next")).to_be_visible()
    expect(page.locator(".teach__next").first).not_to_contain_text("not asked about yet")
    page.click(".teach__next >> nth=0 >> text=circle")
    page.click("[data-teach] button")
    expect(page.locator("#live h1 + p")).to_contain_text("Version 2 answers here.")

    page.click("text=Publish v2")
    expect(page.locator("#live h1 + p")).to_contain_text("Version 2 answers keys.")
    page.click(".teach__version >> nth=1 >> text=Use")
    expect(page.locator("#live h1 + p")).to_contain_text("Version 1 answers here. Version 2 answers keys.")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    clean(page)
    page.set_viewport_size({"width": 1280, "height": 800})

    page.click("text=Delete >> nth=-1")
    page.fill("#confirm-typed", "Shapes")
    page.click("[data-confirm-do]")
    page.wait_for_url("**/teach/")
    expect(page.locator(".empty")).to_contain_text("No classifiers yet")
