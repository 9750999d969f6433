"""A classifier: named, taught from a few lines, asked, given what it doubts, published, gone back to, deleted."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from contracts import clips
from tests.e2e.test_search import clean, deploy
from tests.workers import toy_lessons
from workers.export import few_shot

SQUARES = ["red square", "one large red square", "square small left", "two square"]
CIRCLES = ["circle", "blue circle right", "small circle one", "large circle two green"]


@pytest.fixture(scope="module")
def teacher(stack) -> None:
    """A deployment that learns: random weights, which see words."""
    deploy(stack, "lessons", lambda folder: toy_lessons.build(folder, toy_lessons.base(0)))


@pytest.fixture(scope="module")
def listener(stack) -> None:
    """The deployment that hears clips, as an installation has it."""

    def build(folder: Path) -> Path:
        few_shot.export(few_shot.tower_of("clips"), folder)
        return folder

    deploy(stack, "heard", build)


def glide(seed: int, begin: float, end: float) -> dict[str, object]:
    """A tone from one height to another, as a file that is chosen."""
    count = 4000 + 200 * seed
    phase = 2 * np.pi * np.cumsum(np.linspace(begin, end, count)) / clips.RATE
    return {"name": f"{begin:.0f} {seed}.wav", "mimeType": "audio/wav",
            "buffer": clips.written(0.3 * np.sin(phase) * np.hanning(count))}  # fmt: skip


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


def test_clips_are_added_played_and_told(listener, page) -> None:
    page.goto("/teach/")
    page.click("[data-dialog-open=new-classifier] >> nth=0")
    page.fill("#classifier-name", "Glides")
    page.select_option("#classifier-reads", "clips")
    page.fill("#classifier-labels", "rising\nfalling")
    page.click("#new-classifier button[type=submit]")
    page.wait_for_url("**/teach/classifiers/**")
    for label, heights in (("rising", (400, 1200)), ("falling", (1200, 400))):
        page.select_option("#clips-label", label=label)
        page.set_input_files("[data-files]", [glide(seed, *heights) for seed in range(3)])
        expect(page.locator("[data-toasts]")).to_contain_text("3 clips are read")
    expect(page.locator("#live audio")).to_have_count(6)
    clean(page)
    page.locator("#live audio").first.evaluate("sound => sound.play()")  # rejects what cannot be played
    assert 0.4 < page.locator("#live audio").first.evaluate("sound => sound.duration") < 0.8
    page.click("[data-teach] button")
    expect(page.locator("#live")).to_contain_text("of 6 examples, each left out once")
    page.set_input_files("[data-asked]", [glide(5, 420, 1150)])
    expect(page.locator("#told .test__row").first).to_contain_text("rising")
    assert page.locator("[data-preview]").evaluate("sound => sound.play().then(() => sound.duration)") > 0.5
    clean(page)
    page.click("#told button >> text=rising")  # what was asked becomes an example
    expect(page.locator("#live audio")).to_have_count(7)
    for width, theme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        clean(page)
