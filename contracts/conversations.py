"""Conversations that a chat model learns from, a JSON object a line. Both sides read files of them with this.

A line is `{"messages": [{"role", "content"}, ...]}`, as OpenAI's fine-tuning takes it, or `{"prompt", "completion"}`.
Roles are system (the first message only), user and assistant; the last message is an assistant's. An assistant's
message may have a `weight` of 0: it is read and not learned. A content is text, or a list of parts that are text.

Everything of a file can be wrong. What is wrong with the whole of it raises Unreadable; a line that cannot
be learned is refused with its number and a reason, and the others are read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

MOST_MB = 20  # of a file
MOST_LINES = 50_000
MOST_CHARS = 200_000  # of a line
MOST_MESSAGES = 200  # of a conversation
LEAST = 10  # conversations that can be learned from
ROLES = ("system", "user", "assistant")
_SHOWN = 100  # refused lines that are kept with their reasons


class Unreadable(ValueError):
    """What is wrong with the file as a whole, for the person who sent it."""


class Refused(ValueError):
    """What is wrong with a line."""


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str
    is_learned: bool = False  # of an assistant, unless its weight is 0


@dataclass(frozen=True, slots=True)
class Conversation:
    line: int  # as an editor numbers it, from 1
    messages: tuple[Message, ...]

    @property
    def answer(self) -> str:
        return self.messages[-1].content

    @property
    def question(self) -> str:
        """What was said last before the answer."""
        return self.messages[-2].content


@dataclass(slots=True)
class Conversations:
    """What a file holds."""

    found: list[Conversation] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)  # line and reason, of the first ones
    refused_count: int = 0

    def refuse(self, line: int, reason: str) -> None:
        self.refused_count += 1
        if len(self.refused) < _SHOWN:
            self.refused.append((line, reason))


def read(content: bytes) -> Conversations:
    """Raises Unreadable."""
    if len(content) > MOST_MB * 2**20:
        raise Unreadable(f"The file is larger than {MOST_MB} MB. Split it.")
    # Not splitlines: U+2028 and its kin may stand in a JSON text.
    lines = _decoded(content).split("\n")
    if sum(1 for line in lines if line.strip()) > MOST_LINES:
        raise Unreadable(f"The file has more than {MOST_LINES} lines. Split it.")
    read = Conversations()
    for number, line in enumerate(lines, 1):
        if line.strip():
            _add(read, number, line)
    return read


def require_enough(read: Conversations) -> None:
    """Raises Unreadable."""
    if len(read.found) < LEAST:
        raise Unreadable(f"The file has {len(read.found)} conversations that can be learned from; {LEAST} are needed.")


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"Line {line} is no UTF-8. Save the file as UTF-8 and send it again.") from error


def _add(read: Conversations, number: int, line: str) -> None:
    try:
        read.found.append(Conversation(number, _messages(_object(line))))
    except Refused as refused:
        read.refuse(number, str(refused))


def _object(line: str) -> dict[str, Any]:
    if len(line) > MOST_CHARS:
        raise Refused(f"it has more than {MOST_CHARS} characters")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Refused("it is not JSON") from error
    if not isinstance(value, dict):
        raise Refused("it is no JSON object")
    return value


def _messages(value: dict[str, Any]) -> tuple[Message, ...]:
    if "messages" not in value and {"prompt", "completion"} <= value.keys():
        pair = (("user", value["prompt"]), ("assistant", value["completion"]))
        return tuple(Message(role, _text(content), role == "assistant") for role, content in pair)
    if value.get("tools") or value.get("functions"):
        raise Refused("calls of tools cannot be learned here")
    said = value.get("messages")
    if not isinstance(said, list) or not said:
        raise Refused("it has neither messages nor prompt and completion")
    if len(said) > MOST_MESSAGES:
        raise Refused(f"it has more than {MOST_MESSAGES} messages")
    messages = tuple(_message(place, one) for place, one in enumerate(said))
    _check_order(messages)
    return messages


def _message(place: int, said: Any) -> Message:
    if not isinstance(said, dict):
        raise Refused("a message is no object with role and content")
    role = said.get("role")
    if role not in ROLES:
        raise Refused("a role is not one of system, user and assistant")
    if role == "system" and place:
        raise Refused("a system message is not the first")
    if said.get("tool_calls") or said.get("function_call"):
        raise Refused("calls of tools cannot be learned here")
    weight = said.get("weight", 1)
    if isinstance(weight, bool) or weight not in (0, 1):
        raise Refused("a weight is neither 0 nor 1")
    return Message(role, _text(said.get("content")), role == "assistant" and weight == 1)


def _check_order(messages: tuple[Message, ...]) -> None:
    roles = [message.role for message in messages if message.role != "system"]
    if not roles or roles[0] != "user":
        raise Refused("the first to speak is not the user")
    if roles[-1] != "assistant":
        raise Refused("the last message is not the assistant's")
    if any(one == other for one, other in pairwise(roles)):
        raise Refused("user and assistant do not take turns")
    if not messages[-1].is_learned:
        raise Refused("the last answer has a weight of 0")


def _text(content: Any) -> str:
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        if len(parts) != len(content) or not all(isinstance(part, str) for part in parts):
            raise Refused("a content has parts that are no text")
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        raise Refused("a content is no text")
    if not content.strip():
        raise Refused("a content is empty")
    if "\x00" in content or any("\ud800" <= letter <= "\udfff" for letter in content):
        raise Refused("a content has characters that no text has")
    return content
