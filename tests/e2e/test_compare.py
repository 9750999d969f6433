"""Two answers side by side, and the vote."""

from playwright.sync_api import expect


def test_two_lanes_stream_and_are_voted_on(page):
    page.goto("/chat/compare/")
    for lane in "ab":
        page.locator(f'[name="{lane}-max_tokens"]').fill("32")
    page.fill("#prompt", "Name three metals.")
    page.click("text=Ask both")
    page.wait_for_url("**/compare/*-*/")
    page.wait_for_selector("[data-comparison]:not([data-running])")
    expect(page.locator("[data-lane=A] h2")).to_have_text("Answer A")
    assert page.locator("[data-lane] [data-markdown]").count() == 2
    page.keyboard.press("b")
    expect(page.locator("#vote-B")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-lane=A] h2")).not_to_have_text("Answer A")
    expect(page.locator("tbody tr", has_text="First token")).to_contain_text("s")
    page.reload()
    expect(page.locator("#vote-B")).to_have_attribute("aria-pressed", "true")


def test_reload_while_both_write(page):
    page.goto("/chat/compare/")
    page.uncheck("[name=blind]")
    page.fill("#prompt", "Write a long story about a lighthouse.")
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare/*-*/")
    page.reload()
    page.wait_for_selector("[data-comparison]:not([data-running])")
    assert page.locator("[data-mismatch]").count() == 0
    assert all(text.strip() for text in page.locator("[data-lane] [data-markdown]").all_inner_texts())
