"""Files of conversations: both forms, and every line that is refused."""

import json

import pytest

from contracts import conversations
from contracts.adaptation import Settings
from contracts.conversations import Message, Unreadable, read

pytestmark = pytest.mark.unit

ASKED = {"role": "user", "content": "Who?"}
ANSWERED = {"role": "assistant", "content": "Me."}


def lines(*values) -> bytes:
    return "\n".join(json.dumps(value, ensure_ascii=False) for value in values).encode()


def test_both_forms_are_read_as_the_same():
    pair = lines({"messages": [ASKED, ANSWERED]}, {"prompt": "Who?", "completion": "Me."})
    first, second = read(pair).found
    assert first.messages == second.messages == (Message("user", "Who?"), Message("assistant", "Me.", True))
    assert (first.line, second.line, second.question, second.answer) == (1, 2, "Who?", "Me.")


def test_system_parts_and_weights():
    earlier = {**ANSWERED, "weight": 0}
    parts = {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "text", "text": "now?"}]}
    said = [{"role": "system", "content": "Be short."}, ASKED, earlier, parts, {**ANSWERED, "weight": 1}]
    (one,) = read(lines({"messages": said})).found
    assert [message.is_learned for message in one.messages] == [False, False, False, False, True]
    assert one.question == "And now?"


def test_what_editors_do_to_files_does_no_harm():
    """A mark at the beginning, carriage returns, empty lines, and separators that are no ends of lines."""
    text = "\u4f60\u597d\u2028\u0085\u2029 there"
    good = json.dumps({"prompt": text, "completion": "x"}, ensure_ascii=False).encode()
    found = read(b"\xef\xbb\xbf" + good + b"\r\n\r\n" + good + b"\n")
    assert [(one.line, one.question) for one in found.found] == [(1, text), (3, text)]
    assert found.refused == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ('{"prompt": ' + "9" * 5000 + "}", "it is not JSON"),
        ('"text"', "it is no JSON object"),
        ("{}", "it has neither messages nor prompt and completion"),
        ('{"messages": {}}', "it has neither messages nor prompt and completion"),
        ('{"prompt": 1, "completion": "x"}', "a content is no text"),
        ('{"prompt": " ", "completion": "x"}', "a content is empty"),
        (r'{"prompt": "\u0000", "completion": "x"}', "a content has characters that no text has"),
        (r'{"prompt": "\ud800", "completion": "x"}', "a content has characters that no text has"),
        ({"messages": ["hello"]}, "a message is no object with role and content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "a role is not one of system, user and assistant"),
        ({"messages": [{"role": {}, "content": "x"}]}, "a role is not one of system, user and assistant"),
        ({"messages": [ASKED, {"role": "system", "content": "x"}]}, "a system message is not the first"),
        ({"messages": [ASKED, {**ANSWERED, "tool_calls": [1]}]}, "calls of tools cannot be learned here"),
        ({"messages": [ASKED, ANSWERED], "tools": [1]}, "calls of tools cannot be learned here"),
        ({"messages": [ASKED, {**ANSWERED, "weight": 2}]}, "a weight is neither 0 nor 1"),
        ({"messages": [ASKED, {**ANSWERED, "weight": 0}]}, "the last answer has a weight of 0"),
        ({"messages": [ANSWERED]}, "the first to speak is not the user"),
        ({"messages": [ASKED]}, "the last message is not the assistant's"),
        ({"messages": [ASKED, ASKED, ANSWERED]}, "user and assistant do not take turns"),
        (
            {"messages": [{**ASKED, "content": [{"type": "image_url"}]}, ANSWERED]},
            "a content has parts that are no text",
        ),
        ({"messages": [ASKED, ANSWERED] * 101}, "it has more than 200 messages"),
        ({"prompt": "x" * 200_000, "completion": "x"}, "it has more than 200000 characters"),
    ],
)
def test_a_line_that_cannot_be_learned_is_refused_with_its_number(line, reason):
    text = line.encode() if isinstance(line, str) else lines(line)
    found = read(lines({"prompt": "a", "completion": "b"}) + b"\n" + text)
    assert (found.refused, found.refused_count, len(found.found)) == ([(2, reason)], 1, 1)


def test_reasons_of_the_first_hundred_are_kept_and_all_are_counted():
    found = read(b"{\n" * 250)
    assert (len(found.refused), found.refused_count) == (100, 250)


def test_files_that_are_no_such_files(monkeypatch):
    with pytest.raises(Unreadable, match="Line 2 is no UTF-8"):
        read(b"{}\n\xff\xfe")
    monkeypatch.setattr(conversations, "MOST_LINES", 3)
    with pytest.raises(Unreadable, match="more than 3 lines"):
        read(b"{}\n" * 4)
    monkeypatch.setattr(conversations, "MOST_MB", 0)
    with pytest.raises(Unreadable, match="larger than 0 MB"):
        read(b"{}")
    with pytest.raises(Unreadable, match="The file has 0 conversations that can be learned from; 10 are needed."):
        conversations.require_enough(conversations.Conversations())


@pytest.mark.parametrize(
    "values",
    [{"rank": 0}, {"rank": 2.5}, {"learning_rate": float("nan")}, {"epochs": True}, {"seed": -1}, {"alpha": "x"}],
)
def test_settings_that_cannot_be(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        Settings.from_dict(values)
