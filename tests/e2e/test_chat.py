"""One conversation in a real browser with the real model."""

import json

from playwright.sync_api import expect

LONG = "Write a long story about a river, a mill and an old bridge."


def answers(document):
    return [message for message in document["messages"] if message["role"] == "assistant"]


def test_answer_streams_and_is_stored_as_shown(chat, page):
    chat.open().send("Say hello to the plant manager.")
    page.wait_for_url("**/chat/*-*/")
    chat.wait_written()
    stored = answers(chat.stored())[-1]
    assert stored["status"] == "done"
    assert stored["text"] == chat.shown_source()
    assert page.locator("[data-mismatch]").count() == 0
    expect(page.locator("#thread .meter").last).to_contain_text("tokens/s")


def test_a_message_of_the_first_page_is_sent_and_answered(chat, page):
    page.goto("/")
    page.fill("[data-ask-home] textarea", "Say hello to the plant manager.")
    page.keyboard.press("Enter")
    page.wait_for_url("**/chat/*-*/")
    chat.wait_written()
    assert chat.shown_source() == answers(chat.stored())[-1]["text"]
    page.goto("/chat/")
    page.wait_for_selector("[data-composer][data-ready]")
    assert not page.input_value("#composer-text")


def test_reload_in_the_middle_of_a_stream_loses_and_repeats_nothing(chat, page):
    chat.open(longest=512).send(LONG)
    page.wait_for_url("**/chat/*-*/")
    chat.wait_writing(60)
    before = page.locator("#thread [data-request-id] [data-markdown]").inner_text()
    page.reload()
    chat.wait_writing(len(before))
    page.reload()
    chat.wait_written()
    stored = answers(chat.stored())[-1]["text"]
    assert chat.shown_source() == stored
    assert page.locator("[data-mismatch]").count() == 0
    assert stored.split()[:5] == before.split()[:5]


def test_two_tabs_show_the_same_stream(chat, page, context):
    chat.open(longest=256).send(LONG)
    page.wait_for_url("**/chat/*-*/")
    chat.wait_writing()
    other = type(chat)(context.new_page())
    other.page.goto(page.url)
    chat.wait_written()
    other.wait_written()
    assert chat.shown_source() == answers(chat.stored())[-1]["text"]
    shown = page.locator("#thread [data-markdown]").inner_text()
    assert other.page.locator("#thread [data-markdown]").inner_text() == shown


def test_connection_that_breaks_is_taken_up_again(chat, page, context):
    chat.open(longest=256).send(LONG)
    page.wait_for_url("**/chat/*-*/")
    chat.wait_writing()
    context.set_offline(True)
    page.evaluate("() => new Promise(done => setTimeout(done, 1500))")
    context.set_offline(False)
    chat.wait_written()
    assert chat.shown_source() == answers(chat.stored())[-1]["text"]
    assert page.locator("[data-mismatch]").count() == 0


def test_escape_stops_and_keeps_what_was_written(chat, page):
    chat.open(longest=1024).send(LONG)
    page.wait_for_url("**/chat/*-*/")
    chat.wait_writing()
    page.keyboard.press("Escape")
    chat.wait_written()
    stored = answers(chat.stored())[-1]
    assert stored["status"] == "stopped"
    assert 0 < stored["usage"]["completion_tokens"] < 1000
    assert chat.shown_source() == stored["text"]


def test_edit_makes_a_branch_and_arrows_switch(chat, page):
    chat.open(longest=32).send("Name a river.")
    page.wait_for_url("**/chat/*-*/")
    chat.wait_written()
    page.press("#composer-text", "ArrowUp")
    page.fill("[data-edit-form] textarea", "Name a mountain.")
    page.press("[data-edit-form] textarea", "Enter")
    expect(page.locator(".msg--user [data-source]")).to_have_text("Name a mountain.")
    chat.wait_written()
    expect(page.locator(".msg--user .tree")).to_contain_text("2 / 2")
    page.locator(".msg--user").focus()
    page.keyboard.press("Alt+ArrowLeft")
    expect(page.locator(".msg--user [data-source]")).to_have_text("Name a river.")
    expect(page.locator(".msg--user")).to_be_focused()
    page.keyboard.press("Alt+ArrowRight")
    expect(page.locator(".msg--user [data-source]")).to_have_text("Name a mountain.")
    assert len(chat.stored()["messages"]) == 4


def test_regenerate_makes_a_sibling(chat, page):
    chat.open(longest=32).send("Tell me about copper.")
    page.wait_for_url("**/chat/*-*/")
    chat.wait_written()
    page.click("[data-regenerate]")
    expect(page.locator("[data-role=assistant] .tree")).to_contain_text("2 / 2")
    chat.wait_written()
    siblings = answers(chat.stored())
    assert len(siblings) == 2
    assert siblings[0]["parent"] == siblings[1]["parent"]


def test_message_written_meanwhile_is_sent_afterwards(chat, page):
    chat.open(longest=96).send("Tell me about tin.")
    page.wait_for_url("**/chat/*-*/")
    chat.wait_writing(5)
    chat.send("And about lead?")
    chat.wait_written(answers=2)
    path = [message["text"] for message in chat.stored()["messages"] if message["role"] == "user"]
    assert path == ["Tell me about tin.", "And about lead?"]


def test_rating_is_kept(chat, page):
    chat.open(longest=16).send("Hello.")
    page.wait_for_url("**/chat/*-*/")
    chat.wait_written()
    page.get_by_role("button", name="Good answer").click()
    expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    assert answers(chat.stored())[0]["rating"] == 1


def test_probabilities_are_shown_when_asked_for(chat, page):
    chat.open(longest=16)
    page.locator("input[name=logprobs]").check()
    chat.send("Count to five.")
    page.wait_for_url("**/chat/*-*/")
    chat.wait_written()
    page.get_by_role("button", name="Token probabilities").click()
    page.wait_for_selector(".chance")
    stored = answers(chat.stored())[0]["text"]
    assert "".join(page.locator(".chance").all_text_contents()).strip().startswith(stored.strip()[:10])


def test_output_with_html_is_text(chat, page, stack):
    text = "<script>document.title='bad'</script>\n\n<img src=x onerror=\"document.title='bad'\"> and <b>bold</b>"
    code = f"""
from django.utils import timezone
from apps.accounts.models import User
from apps.chat.models import Conversation, Message
owner = User.objects.get(email="browser@example.com")
talk = Conversation.objects.create(owner=owner, title="HTML", updated_at=timezone.now())
one = Message.objects.create(conversation=talk, role="user", text="<i>hi</i>")
talk.leaf = Message.objects.create(conversation=talk, parent=one, role="assistant", text={text!r}, model_name="M")
talk.save()
print(talk.pk)
"""
    page.goto(f"/chat/{stack.python(code).strip().splitlines()[-1]}/")
    prose = page.locator("[data-markdown]:not(.plain)")
    expect(prose).to_contain_text("<script>document.title='bad'</script>")
    expect(prose).to_contain_text("<img src=x onerror=")
    expect(page.locator("[data-source]")).to_have_text("<i>hi</i>")
    assert prose.locator("script, img, b").count() == 0
    assert "bad" not in page.title()


def test_too_long_a_message_is_refused_with_figures_and_kept(chat, page):
    chat.open().send("word " * 12_000)
    page.wait_for_url("**/chat/*-*/")
    expect(page.locator("[data-note] .note--danger")).to_contain_text("tokens")
    chat.wait_written()
    assert answers(chat.stored())[0]["error"]["prompt_tokens"] > 8000 if "error" in answers(chat.stored())[0] else True


def test_bad_settings_are_refused_and_the_text_is_kept(chat, page):
    chat.open()
    page.fill("#seed", "many")
    chat.send("Hello.")
    expect(page.locator("#refusal")).to_contain_text("Seed: Enter a whole number.")
    expect(page.locator("#composer-text")).to_have_value("Hello.")


def test_temporary_chat_leaves_nothing_behind(chat, page):
    page.goto("/chat/")
    before = page.locator("[data-conversation-item]").count()
    page.goto("/chat/temporary/")
    page.wait_for_selector("[data-composer][data-ready]")
    chat.set_longest(32)
    chat.send("Remember the word copper.")
    chat.wait_written()
    chat.send("Which word?")
    chat.wait_written(answers=2)
    expect(page.locator("#thread .meter").last).to_contain_text("tokens")
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/chat/")
    assert page.locator("[data-conversation-item]").count() == before


def test_preset_fills_the_settings(chat, page):
    chat.open()
    page.fill("#system_prompt", "Answer like a sailor.")
    page.locator("#temperature").fill("1.2")
    page.click("text=Save as preset")
    page.fill("#preset-name", "Sailor")
    page.click("#preset-dialog .btn--primary")
    expect(page.locator("[data-preset] option", has_text="Sailor")).to_have_count(1)
    page.goto("/chat/")
    page.select_option("[data-preset]", label="Sailor")
    expect(page.locator("#system_prompt")).to_have_value("Answer like a sailor.")
    expect(page.locator("#temperature")).to_have_value("1.2")
    page.click("[data-preset-delete]")
    expect(page.locator("[data-preset] option", has_text="Sailor")).to_have_count(0)


def test_settings_of_a_chat_are_kept(chat, page):
    chat.open(longest=16).send("Hello.")
    page.wait_for_url("**/chat/*-*/")
    chat.wait_written()
    with page.expect_response("**/update/"):
        page.locator("#temperature").fill("0.3")
        page.locator("#temperature").dispatch_event("change")
    page.reload()
    expect(page.locator("#temperature")).to_have_value("0.3")
    assert json.dumps(chat.stored()["parameters"]["temperature"]) == "0.3"
