"""The list of conversations, the palette, the keyboard."""

import pytest
from playwright.sync_api import expect


@pytest.fixture
def talk(chat, page):
    """A short conversation of its own, open."""
    chat.open(longest=16).send("Zanzibar trade winds")
    page.wait_for_url("**/chat/*-*/")
    chat.wait_written()
    return page.url.rstrip("/").rpartition("/")[2]


def menu_of(page, talk, name):
    item = page.locator(f'[data-conversation-item="{talk}"]')
    item.hover()
    item.locator("[data-conv-menu]").click()
    page.locator("#conv-menu").get_by_text(name, exact=True).click()


def test_title_comes_from_the_first_message(page, talk):
    expect(page.locator(f'[data-conversation-item="{talk}"]')).to_contain_text("Zanzibar trade winds")
    assert page.title() == "Zanzibar trade winds · DeepSeek Web"


def test_rename(page, talk):
    menu_of(page, talk, "Rename")
    page.fill("#rename-field", "Monsoon")
    page.keyboard.press("Enter")
    expect(page.locator(f'[data-conversation-item="{talk}"]')).to_contain_text("Monsoon")
    page.reload()
    assert page.title() == "Monsoon · DeepSeek Web"


def test_pin_and_unpin(page, talk):
    menu_of(page, talk, "Pin")
    expect(page.locator(f'[data-conversation-item="{talk}"][data-pinned]')).to_be_visible()
    expect(page.locator("#conv-list .group").first).to_have_text("Pinned")
    menu_of(page, talk, "Unpin")
    expect(page.locator(f'[data-conversation-item="{talk}"][data-pinned]')).to_have_count(0)


def test_archive_undo_and_restore(page, talk):
    item = page.locator(f'[data-conversation-item="{talk}"]')
    menu_of(page, talk, "Archive")
    expect(item).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(item).to_be_visible()
    menu_of(page, talk, "Archive")
    expect(item).to_have_count(0)
    page.click("[data-archived-toggle]")
    expect(item).to_be_visible()
    menu_of(page, talk, "Restore")
    expect(item).to_have_count(0)
    page.click("[data-archived-toggle]")
    expect(item).to_be_visible()


def test_what_was_said_stays_when_another_page_takes_this_ones_place(page, talk):
    menu_of(page, talk, "Archive")
    expect(page.locator("[data-toast]")).to_be_visible()
    page.locator("[data-new-chat]").click()
    expect(page.locator("#thread [data-role]")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(f'[data-conversation-item="{talk}"]')).to_be_visible()


def test_delete_asks_first(page, talk):
    menu_of(page, talk, "Delete")
    expect(page.locator("#delete-title")).to_have_text("Delete “Zanzibar trade winds”?")
    page.click("#delete-dialog [data-dialog-close]")
    expect(page.locator(f'[data-conversation-item="{talk}"]')).to_be_visible()
    menu_of(page, talk, "Delete")
    page.click("#delete-dialog .btn--danger")
    page.wait_for_url("**/chat/")
    expect(page.locator(f'[data-conversation-item="{talk}"]')).to_have_count(0)
    assert page.request.get(f"/chat/{talk}/").status == 404


def test_search_finds_words_of_messages(page, talk):
    page.fill("[data-conv-search]", "zanzibar")
    item = page.locator(f'[data-conversation-item="{talk}"]')
    expect(item.locator("mark").first).to_have_text("Zanzibar")
    page.fill("[data-conv-search]", "nothing has this word")
    expect(page.locator(".convs__empty")).to_contain_text("No message contains")
    page.fill("[data-conv-search]", "")
    expect(item).to_be_visible()


def test_export(page, talk):
    with page.expect_download() as download:
        menu_of(page, talk, "Export as Markdown")
    text = download.value.path().read_text()
    assert download.value.suggested_filename == "Zanzibar trade winds.md"
    assert text.startswith("# Zanzibar trade winds")


def test_palette_jumps_to_a_chat_and_to_a_page(page, talk):
    page.goto("/profile/")
    page.keyboard.press("Control+k")
    page.keyboard.type("zanzibar")
    page.wait_for_selector(f"#jump-{talk}[aria-selected=true]")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/chat/{talk}/")
    page.keyboard.press("Control+k")
    page.keyboard.type("compare")
    page.keyboard.press("Enter")
    page.wait_for_url("**/chat/compare/")


def test_keyboard_alone_writes_and_starts_anew(page, talk, chat):
    page.keyboard.press("Control+Shift+o")
    page.wait_for_url("**/chat/")
    page.wait_for_selector("[data-composer][data-ready]")
    expect(page.locator("#composer-text")).to_be_focused()
    page.keyboard.type("First line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    expect(page.locator("#composer-text")).to_have_value("First line\nsecond line")
    page.keyboard.press("Escape")
    page.fill("#composer-text", "")
    page.locator("[data-scroll]").focus()
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_be_hidden()


def test_enter_of_an_input_method_does_not_send(page, chat):
    chat.open()
    page.fill("#composer-text", "你好")
    page.evaluate(
        "() => document.querySelector('#composer-text').dispatchEvent(new KeyboardEvent("
        "'keydown', {key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"
    )
    expect(page.locator("#composer-text")).to_have_value("你好")
    assert page.url.endswith("/chat/")


def test_other_tab_hears_of_a_new_title(page, talk, context):
    other = context.new_page()
    other.goto(page.url)
    other.wait_for_selector("[data-composer][data-ready]")
    menu_of(page, talk, "Rename")
    page.fill("#rename-field", "Heard elsewhere")
    page.keyboard.press("Enter")
    expect(other.locator(f'[data-conversation-item="{talk}"]')).to_contain_text("Heard elsewhere")
    expect(other.locator("#talk-title")).to_have_text("Heard elsewhere")
