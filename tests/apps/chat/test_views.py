"""Pages and partials of conversations: what is sent back, to whom, and with how many queries."""

import json
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import AbstractBaseUser
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.chat.models import Conversation, Message, Preset
from apps.quotas.services import set_limit
from tests.fakes import FakeWorker

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

SETTINGS = {"system_prompt": "Be brief.", "temperature": "0.5", "top_p": "0.9", "max_tokens": "64"}


@pytest.fixture
def conversation(owner: AbstractBaseUser) -> Conversation:
    conversation = Conversation.objects.create(owner=owner, title="Weather", updated_at=timezone.now())
    question = Message.objects.create(conversation=conversation, role="user", text="Will it rain?")
    answer = Message.objects.create(
        conversation=conversation, parent=question, role="assistant", text="It <b>may</b>.", model_name="Echo"
    )
    conversation.leaf = answer
    conversation.save()
    return conversation


@pytest.fixture
def browser(owner: AbstractBaseUser) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def pages_of(conversation: Conversation) -> list[tuple[str, str]]:
    """Every address of a conversation and of its answer, with the method it takes."""
    one, two = [conversation.pk], [conversation.leaf_id]
    return [
        ("get", reverse("chat:conversation", args=one)),
        ("get", reverse("chat:thread", args=one)),
        ("get", reverse("chat:export", args=[*one, "md"])),
        ("get", reverse("chat:export", args=[*one, "json"])),
        ("post", reverse("chat:send", args=one)),
        ("post", reverse("chat:update", args=one)),
        ("post", reverse("chat:delete", args=one)),
        ("get", reverse("chat:message", args=two)),
        ("get", reverse("chat:probabilities", args=two)),
        ("post", reverse("chat:regenerate", args=two)),
        ("post", reverse("chat:select", args=two)),
        ("post", reverse("chat:rate", args=two)),
    ]


def test_owner_gets_the_pages(browser, conversation):
    got = {url: browser.get(url).status_code for method, url in pages_of(conversation) if method == "get"}
    assert set(got.values()) == {200}


@pytest.mark.parametrize("who", ["member", "stranger"])
def test_others_get_404_for_everything(who, conversation, request):
    client = Client()
    client.force_login(request.getfixturevalue(who))
    got = {url: getattr(client, method)(url).status_code for method, url in pages_of(conversation)}
    assert set(got.values()) == {404}
    assert Conversation.objects.filter(pk=conversation.pk).exists()


def test_nobody_is_sent_to_the_login_page(conversation):
    for method, url in pages_of(conversation):
        assert getattr(Client(), method)(url)["Location"].startswith("/accounts/login/")


def test_nobody_inside_a_swap_is_redirected_as_a_whole(conversation):
    response = Client().get(reverse("chat:list"), headers={"HX-Request": "true"})
    assert (response.status_code, response["HX-Redirect"]) == (401, "/accounts/login/")


def test_text_of_a_model_is_escaped(browser, conversation):
    page = browser.get(reverse("chat:conversation", args=[conversation.pk])).content.decode()
    assert "It &lt;b&gt;may&lt;/b&gt;." in page


@pytest.mark.parametrize("rows", [1, 30])
def test_page_takes_the_same_queries_for_any_number_of_chats(rows, browser, owner, django_assert_num_queries):
    for number in range(rows):
        moment = timezone.now() - timedelta(hours=number)
        Conversation.objects.create(owner=owner, title=f"Chat {number}", updated_at=moment)
    browser.get(reverse("chat:new"))  # sessions and users are cached or loaded once
    with django_assert_num_queries(5):  # user, chats, presets, open incidents, notices
        page = browser.get(reverse("chat:new")).content.decode()
    assert page.count("data-conversation-item") == rows


@pytest.mark.parametrize("rows", [1, 30])
def test_thread_takes_the_same_queries_for_any_number_of_messages(
    rows, browser, conversation, django_assert_num_queries
):
    parent = conversation.leaf
    for number in range(rows):
        question = Message.objects.create(conversation=conversation, parent=parent, role="user", text=f"q{number}")
        parent = Message.objects.create(conversation=conversation, parent=question, role="assistant", text="a")
    conversation.leaf = parent
    conversation.save()
    with django_assert_num_queries(3):  # user, conversation, tree
        page = browser.get(reverse("chat:thread", args=[conversation.pk])).content.decode()
    assert page.count("<article") == 2 * rows + 2


def test_list_goes_on_behind_its_cursor(browser, owner):
    for number in range(60):
        moment = timezone.now() - timedelta(minutes=number)
        Conversation.objects.create(owner=owner, title=f"Chat {number}", updated_at=moment)
    first = browser.get(reverse("chat:list"))
    cursor = first.context["page"].next_cursor
    rest = browser.get(reverse("chat:list"), {"cursor": cursor, "group": "today"}).content.decode()
    assert first.content.decode().count("data-conversation-item") == 50
    assert rest.count("data-conversation-item") == 10


def test_search_marks_what_was_found_and_escapes_it(browser, conversation):
    page = browser.get(reverse("chat:list"), {"q": "may"}).content.decode()
    assert "It &lt;b&gt;<mark>may</mark>&lt;/b&gt;." in page


def test_search_without_a_hit_says_so(browser, conversation):
    assert "No message contains “snow”." in browser.get(reverse("chat:list"), {"q": "snow"}).content.decode()


def test_first_message_opens_a_conversation(browser, owner, worker: FakeWorker, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = browser.post(reverse("chat:start"), {"text": "hello there", **SETTINGS})
    conversation = Conversation.objects.get(owner=owner)
    assert json.loads(response["HX-Location"])["path"] == reverse("chat:conversation", args=[conversation.pk])
    assert conversation.title == "hello there"
    assert conversation.system_prompt == "Be brief."
    assert conversation.parameters == {"temperature": 0.5, "top_p": 0.9, "max_tokens": 64}


def test_first_message_without_a_worker_stores_nothing(browser, deployment):
    response = browser.post(reverse("chat:start"), {"text": "hello", **SETTINGS})
    assert (response.status_code, response["HX-Retarget"]) == (503, "#refusal")
    assert int(response["Retry-After"]) > 0
    assert "No model is deployed." in response.content.decode()
    assert not Conversation.objects.exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"text": ""}, "Write something first."),
        ({"text": "hi", "temperature": "nan"}, "Temperature: Enter a number."),
        ({"text": "hi", "temperature": "3"}, "Temperature: Ensure this value is less than or equal to 2."),
        ({"text": "hi", "max_tokens": "many"}, "Longest answer: Enter a whole number."),
        ({"text": "hi", "seed": "1" * 30}, "Seed: Ensure this value is less than or equal to"),
        ({"text": "hi", "stop": "\n".join("abcdefghijklmnopqrst")}, "Stop at: at most 16 strings"),
    ],
)
def test_bad_input_is_refused_by_the_name_of_its_field(values, said, browser, worker):
    response = browser.post(reverse("chat:start"), values)
    assert response.status_code == 422
    assert said in response.content.decode()
    assert not Conversation.objects.exists()


def test_unknown_deployment_is_refused(browser, worker):
    response = browser.post(reverse("chat:start"), {"text": "hi", "deployment": "gpt"})
    assert response.status_code == 404
    assert not Conversation.objects.exists()


def test_send_answers_with_question_and_waiting_answer(
    browser, conversation, worker, django_capture_on_commit_callbacks
):
    values = {"text": "And tomorrow?", "parent": str(conversation.leaf_id), **SETTINGS}
    with django_capture_on_commit_callbacks(execute=True):
        response = browser.post(reverse("chat:send", args=[conversation.pk]), values)
    page = response.content.decode()
    assert page.count("<article") == 2
    assert "And tomorrow?" in page
    assert "data-request-id" in page
    conversation.refresh_from_db()
    assert conversation.parameters["temperature"] == 0.5


def test_edit_of_the_first_message_makes_a_second_root(browser, conversation, worker):
    response = browser.post(
        reverse("chat:send", args=[conversation.pk]), {"text": "Will it snow?", "parent": "", "whole": "1"}
    )
    roots = conversation.messages.filter(parent=None).order_by("created_at")
    assert [root.text for root in roots] == ["Will it rain?", "Will it snow?"]
    assert "Version 2 of 2" in response.content.decode()


def test_regenerate_and_select_walk_through_the_versions(browser, conversation, worker):
    first = conversation.leaf_id
    page = browser.post(reverse("chat:regenerate", args=[first])).content.decode()
    assert "Version 2 of 2" in page
    page = browser.post(reverse("chat:select", args=[first])).content.decode()
    assert "Version 1 of 2" in page
    conversation.refresh_from_db()
    assert conversation.leaf_id == first


def test_same_rating_again_takes_it_back(browser, conversation):
    url = reverse("chat:rate", args=[conversation.leaf_id])
    ratings = []
    for rating in ("1", "-1", "-1"):
        browser.post(url, {"rating": rating})
        ratings.append(Message.objects.get(pk=conversation.leaf_id).rating)
    assert ratings == [1, -1, 0]


def test_rating_that_is_none_is_refused(browser, conversation):
    assert browser.post(reverse("chat:rate", args=[conversation.leaf_id]), {"rating": "5"}).status_code == 422


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ({"title": "Rain"}, "title", "Rain"),
        ({"pinned": "1"}, "pinned", True),
        ({"archived": "1"}, "archived", True),
        (SETTINGS, "system_prompt", "Be brief."),
    ],
)
def test_update_changes_one_thing(values, field, expected, browser, conversation):
    assert browser.post(reverse("chat:update", args=[conversation.pk]), values).status_code == 204
    conversation.refresh_from_db()
    assert getattr(conversation, field) == expected


def test_archiving_offers_undo(browser, conversation):
    url = reverse("chat:update", args=[conversation.pk])
    toast = json.loads(browser.post(url, {"archived": "1"})["HX-Trigger"])["toast"]
    browser.post(toast["undo"]["url"], toast["undo"]["values"])
    conversation.refresh_from_db()
    assert conversation.archived is False


def test_deleting_the_open_conversation_leads_to_a_new_one(browser, conversation):
    response = browser.post(reverse("chat:delete", args=[conversation.pk]), {"open": str(conversation.pk)})
    assert json.loads(response["HX-Location"])["path"] == "/chat/"
    assert not Conversation.objects.exists()


def test_export_carries_the_title_and_the_text(browser, conversation):
    markdown = browser.get(reverse("chat:export", args=[conversation.pk, "md"]))
    document = json.loads(browser.get(reverse("chat:export", args=[conversation.pk, "json"])).content)
    assert markdown["Content-Disposition"] == 'attachment; filename="Weather.md"'
    assert "It <b>may</b>." in markdown.content.decode()
    assert [message["text"] for message in document["messages"]] == ["Will it rain?", "It <b>may</b>."]
    assert browser.get(reverse("chat:export", args=[conversation.pk, "pdf"])).status_code == 404


def test_presets_are_saved_shown_and_deleted_by_their_owner_only(browser, owner, member):
    page = browser.post(reverse("chat:save_preset"), {"name": "Brief", **SETTINGS}).content.decode()
    preset = Preset.objects.get(owner=owner)
    assert "Brief" in page
    other = Client()
    other.force_login(member)
    assert other.post(reverse("chat:delete_preset", args=[preset.pk])).status_code == 404
    assert browser.post(reverse("chat:delete_preset", args=[preset.pk])).status_code == 200
    assert not Preset.objects.exists()


def test_temporary_chat_stores_nothing(browser, worker, django_capture_on_commit_callbacks):
    messages = [{"role": "user", "content": "hi"}]
    with django_capture_on_commit_callbacks(execute=True):
        response = browser.post(reverse("chat:send_temporary"), {"messages": json.dumps(messages), **SETTINGS})
    assert "data-request-id" in response.content.decode()
    assert not Conversation.objects.exists()
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    "messages",
    ["", "{", "[]", '["hi"]', '[{"role": "system", "content": "x"}]', '[{"role": "assistant", "content": "x"}]'],
)
def test_temporary_chat_refuses_what_is_no_history(messages, browser, worker):
    assert browser.post(reverse("chat:send_temporary"), {"messages": messages}).status_code == 422


def test_unknown_conversation_is_404(browser):
    assert browser.get(reverse("chat:conversation", args=[uuid.uuid4()])).status_code == 404


def test_model_field_asks_again_until_the_model_is_ready(browser, deployment):
    assert "every 3s" in browser.get(reverse("chat:models")).content.decode()


def test_model_field_is_quiet_when_the_model_is_ready(browser, worker):
    page = browser.get(reverse("chat:models")).content.decode()
    assert "every 3s" not in page
    assert "READY" in page


@pytest.mark.parametrize("kind", ["message", "temporary", "compare"])
def test_reached_limit_is_told_with_whom_to_ask(browser, owner, member, conversation, worker, kind):
    member.role, member.name = "admin", "Ada"
    member.save()
    set_limit(scope="user", subject=str(owner.pk), metric="requests", window="day", amount=0, actor=None)
    settings = {**SETTINGS, "deployment": "echo"}
    url, form = {
        "message": (reverse("chat:send", args=[conversation.pk]), {**settings, "text": "Hello"}),
        "temporary": (
            reverse("chat:send_temporary"),
            {**settings, "messages": json.dumps([{"role": "user", "content": "Hello"}])},
        ),
        "compare": (reverse("chat:compare"), {"prompt": "Which?", "deployment_a": "echo", "deployment_b": "echo"}),
    }[kind]
    before = Message.objects.count()
    answer = browser.post(url, form)
    page = answer.content.decode()
    assert answer.status_code == 429
    assert "the limit of 0 requests a day is reached" in page
    assert "ask Ada" in page
    assert int(answer["Retry-After"]) > 0
    assert Message.objects.count() == before
