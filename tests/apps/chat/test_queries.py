"""Lists, search and export."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import User
from apps.chat import queries
from apps.chat.models import AnswerStatus, Conversation, Message

pytestmark = pytest.mark.django_db


def make(owner: User, title: str, *texts: str, age: int = 0, **fields: object) -> Conversation:
    moment = timezone.now() - timedelta(hours=age)
    conversation = Conversation.objects.create(owner=owner, title=title, updated_at=moment, **fields)
    parent = None
    for place, text in enumerate(texts):
        role = Message.Role.ASSISTANT if place % 2 else Message.Role.USER
        parent = Message.objects.create(conversation=conversation, parent=parent, role=role, text=text)
    conversation.leaf = parent
    conversation.save()
    return conversation


def titles(page: queries.ConversationPage) -> list[str]:
    return [item.title for item in page.items]


def test_pinned_first_then_newest(owner: User) -> None:
    make(owner, "old", age=9)
    make(owner, "new", age=1)
    make(owner, "pinned", age=20, pinned=True)
    make(owner, "gone", archived=True)
    assert titles(queries.conversation_page(owner=owner)) == ["pinned", "new", "old"]
    assert titles(queries.conversation_page(owner=owner, archived=True)) == ["gone"]


def test_strangers_list_is_their_own(owner: User, stranger: User) -> None:
    make(owner, "mine", "hello")
    assert titles(queries.conversation_page(owner=stranger)) == []
    assert titles(queries.conversation_page(owner=stranger, search="hello")) == []


def test_pages_go_on_without_gap_or_repeat(owner: User) -> None:
    for number in range(25):
        make(owner, str(number), age=number // 3, pinned=number % 7 == 0)
    whole = titles(queries.conversation_page(owner=owner, limit=50))
    seen: list[str] = []
    cursor = ""
    for _ in range(10):
        page = queries.conversation_page(owner=owner, limit=4, cursor=cursor)
        seen += titles(page)
        cursor = page.next_cursor
        if not cursor:
            break
    assert seen == whole
    assert len(seen) == 25


@pytest.mark.parametrize("cursor", ["x", "1_2_3", "0_2026-01-01T00:00:00_bad", "0_2026-01-01T00:00:00_" + "0" * 32])
def test_cursor_without_sense_starts_anew(owner: User, cursor: str) -> None:
    make(owner, "one")
    assert titles(queries.conversation_page(owner=owner, cursor=cursor)) == ["one"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("vibration", ["sensor"]),
        ("VIBRATION csv", ["sensor"]),
        ("vibr", ["sensor"]),
        ("审计", ["中文"]),
        ("plant", ["Plant names"]),
        ("zebra", []),
        ('"unclosed -', []),
        ("100%", ["percent"]),
        ("_", []),
    ],
)
def test_search_finds_words_chinese_and_titles(owner: User, search: str, found: list[str]) -> None:
    make(owner, "sensor", "Our vibration sensor writes one CSV per hour")
    make(owner, "中文", "请写三月审计摘要")
    make(owner, "Plant names", "hello")
    make(owner, "percent", "it is 100% sure")
    assert titles(queries.conversation_page(owner=owner, search=search)) == found


def test_snippet_shows_what_was_found(owner: User) -> None:
    make(owner, "long", "x " * 200 + "needle in the hay " + "y " * 200)
    snippet = queries.conversation_page(owner=owner, search="needle").items[0].snippet
    assert "needle in the hay" in snippet
    assert snippet.startswith("…") and snippet.endswith("…")


def test_writing_is_marked(owner: User) -> None:
    conversation = make(owner, "live", "question")
    Message.objects.create(
        conversation=conversation, role="assistant", parent=conversation.leaf, status=AnswerStatus.WAITING
    )
    assert queries.conversation_page(owner=owner).items[0].is_writing is True


@pytest.mark.parametrize("count", [1, 30])
def test_one_query_whatever_the_length(
    owner: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    conversations = [make(owner, str(number), "question", "answer") for number in range(count)]
    with django_assert_num_queries(1):
        queries.conversation_page(owner=owner)
    with django_assert_num_queries(1):
        queries.thread(conversations[0])


def test_exports(owner: User) -> None:
    conversation = make(owner, "Talk", "Why?", "Because.", system_prompt="Be short.")
    assert queries.export_markdown(conversation) == (
        "# Talk\n\n> Be short.\n\n## You\n\nWhy?\n\n## Model\n\nBecause.\n"
    )
    exported = queries.export_json(conversation)
    assert [message["text"] for message in exported["messages"]] == ["Why?", "Because."]
    assert exported["messages"][1]["parent"] == exported["messages"][0]["id"]
    assert exported["leaf"] == exported["messages"][1]["id"]
