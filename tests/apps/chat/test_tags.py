"""How dates, words and probabilities are shown."""

from datetime import UTC, datetime, timedelta

import pytest
from django.template.loader import render_to_string

from apps.chat.models import Conversation, Lane
from apps.chat.templatetags import chat_tags

pytestmark = pytest.mark.unit


def groups(*conversations: Conversation) -> list[tuple[str, int]]:
    return [(group.title, len(group.items)) for group in chat_tags.by_date(list(conversations))]


def test_by_date_groups_and_keeps_the_order(monkeypatch):
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)
    ages = [0, 0, 1, 6, 7, 40, 400]
    made = [Conversation(updated_at=now - timedelta(days=age)) for age in ages]
    pinned = Conversation(updated_at=now - timedelta(days=90), pinned=True)
    assert groups(pinned, *made) == [
        ("Pinned", 1),
        ("Today", 2),
        ("Yesterday", 1),
        ("Last 7 days", 1),
        ("November", 1),
        ("October", 1),
        ("October 2025", 1),
    ]


@pytest.mark.parametrize(
    ("text", "words", "shown"),
    [
        ("Rain & snow", "rain", "<mark>Rain</mark> &amp; snow"),
        ("<b>x</b>", "x", "&lt;b&gt;<mark>x</mark>&lt;/b&gt;"),
        ("a (b)", "(b)", "a <mark>(b)</mark>"),
        ("plain", "", "plain"),
    ],
)
def test_marked_escapes_everything_else(text, words, shown):
    assert chat_tags.marked(text, words) == shown


def test_error_text_fills_in_the_figures():
    error = {"type": "context_length_exceeded", "prompt_tokens": 9, "max_tokens": 4, "context_length": 8}
    assert chat_tags.error_text(error).startswith("Too long: 9 tokens and up to 4")


def test_error_text_of_an_unknown_kind_is_the_general_one():
    assert chat_tags.error_text({"type": "odd"}).startswith("The model failed")


def test_token_chances_go_from_sure_to_unsure():
    entries = [{"token": "a", "logprob": 0.0}, {"token": "b", "logprob": -5.0}]
    shown = [(each["token"], each["chance"], each["level"]) for each in chat_tags.token_chances(Lane(logprobs=entries))]
    assert shown == [("a", "100%", 0), ("b", "1%", 4)]


def test_experts_of_a_token_are_counted_from_one_and_their_colours_go_round():
    answer = Lane(logprobs=[{"token": "a", "experts": [[0, 7], [8, 3]]}, {"token": "b"}])
    first, second = chat_tags.token_chances(answer)
    assert (first["experts"], second["experts"]) == (
        [{"y": 0, "numbers": [1, 8], "cells": [{"x": 0, "colour": 1}, {"x": 8, "colour": 8}]},
         {"y": 5, "numbers": [9, 4], "cells": [{"x": 0, "colour": 1}, {"x": 8, "colour": 4}]}],
        [],
    )  # fmt: skip
    assert chat_tags.expert_numbers(answer) == [1, 4, 8, 9]


def test_a_line_ends_behind_its_strip_of_experts():
    answer = Lane(logprobs=[{"token": "\n", "experts": [[0]]}, {"token": "\n"}])
    assert [(each["token"], each["ends_line"]) for each in chat_tags.token_chances(answer)] == [
        ("↵", True),
        ("\n", False),
    ]


def test_the_strip_says_its_experts_in_words_too():
    entries = [{"token": "<a", "logprob": 0.0, "experts": [[0, 4], [2, 1]]}]
    page = render_to_string("chat/_probabilities.html", {"message": Lane(logprobs=entries)})
    assert 'title="100% · layer 0: experts 1, 5 · layer 1: experts 3, 2">&lt;a<svg class="experts"' in page
    assert [page.count(f"expert--{number}") for number in range(1, 9)] == [2, 2, 2, 0, 2, 0, 0, 0]  # and in the key
    plain = render_to_string("chat/_probabilities.html", {"message": Lane(logprobs=[{"token": "a"}])})
    assert "expert" not in plain
