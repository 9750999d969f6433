"""Messages to token ids, by the model's own chat template, with user text kept apart from it.

A user who types `<|im_end|>` gets those ten characters, not the end of a turn: special tokens in
contents are hidden from the tokenizer while the template is rendered and encoded as plain text.
"""

from __future__ import annotations

import json
import re
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from workers.engine.detokenizer import Vocabulary

_ROLES = ("system", "developer", "user", "assistant", "tool")
# Unicode noncharacters: no text interchange contains them, so they can stand for a special token.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_HIDDEN = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")


class ChatTokenizer:
    """Reads tokenizer.json, the chat template and the end-of-sequence ids of an artifact folder."""

    def __init__(self, folder: Path, eos_ids: list[int]) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._literal = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._literal.encode_special_tokens = True
        self.vocabulary = Vocabulary(self._tokenizer)
        self.eos_ids = frozenset(eos_ids)
        self._config = _read_json(folder / "tokenizer_config.json")
        self._template = _compile(_template_source(folder, self._config))
        special = [self._tokenizer.id_to_token(token_id) or "" for token_id in sorted(self.vocabulary.special_ids)]
        self._special = sorted(special, key=len, reverse=True)
        self._special_ids = {token: self._tokenizer.token_to_id(token) or 0 for token in special}
        self._special_pattern = re.compile("|".join(map(re.escape, self._special)) or r"(?!)")

    def encode(self, inputs: dict[str, Any]) -> list[int]:
        """`{"messages": [{role, content}]}` or `{"prompt": str}`. Raises ValueError."""
        if "messages" in inputs:
            return self._encode_rendered(self.render(inputs["messages"]))
        prompt = inputs.get("prompt")
        if not isinstance(prompt, str):
            raise ValueError("inputs: needs messages or a prompt")
        return self._literal.encode(prompt).ids

    @property
    def endings(self) -> list[str]:
        """The tokens that end an answer, as text."""
        return [token for one in sorted(self.eos_ids) if (token := self._tokenizer.id_to_token(one))]

    def decode(self, token_ids: list[int]) -> str:
        return self._tokenizer.decode(token_ids, skip_special_tokens=True)

    def encode_marked(self, rendered: str, spans: list[tuple[int, int]]) -> tuple[list[int], list[bool]]:
        """Tokens of what `render` gave, and whether each of them begins within one of the spans."""
        if _OPEN not in rendered:
            whole = self._tokenizer.encode(rendered, add_special_tokens=False)
            return whole.ids, [_is_within(begin, spans) for begin, _ in whole.offsets]
        token_ids: list[int] = []
        marks: list[bool] = []
        for begin, end in pairwise(sorted({0, len(rendered), *chain(*spans)})):
            part = self._encode_rendered(rendered[begin:end])
            token_ids += part
            marks += [_is_within(begin, spans)] * len(part)
        return token_ids, marks

    def render(self, messages: object, *, is_asked: bool = True) -> str:
        """The template's text, with special tokens of the contents hidden; when it is asked, up to where the answer
        begins."""
        checked = [self._check(index, message) for index, message in enumerate(_non_empty(messages))]
        try:
            return self._template.render(
                messages=checked,
                add_generation_prompt=is_asked,
                bos_token=_text(self._config.get("bos_token")),
                eos_token=_text(self._config.get("eos_token")),
            )
        except jinja2.TemplateError as error:
            raise ValueError(f"messages: {error}") from error

    def _check(self, index: int, message: object) -> dict[str, str]:
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise ValueError(f"{where}: must be an object with role and content")
        if message.get("role") not in _ROLES:
            raise ValueError(f"{where}.role: must be one of {', '.join(_ROLES)}")
        content = _content(message.get("content"), where)
        return {"role": message["role"], "content": self.hide(content)}

    def hide(self, content: str) -> str:
        """How a content stands in what `render` gives."""
        content = content.replace(_OPEN, "\ufffd").replace(_CLOSE, "\ufffd")
        return self._special_pattern.sub(lambda match: f"{_OPEN}{self._special.index(match[0])}{_CLOSE}", content)

    def _encode_rendered(self, text: str) -> list[int]:
        if _OPEN not in text:
            return self._tokenizer.encode(text, add_special_tokens=False).ids
        token_ids: list[int] = []
        position = 0
        for match in self._special_pattern.finditer(text):
            token_ids += self._encode_literally(text[position : match.start()])
            token_ids.append(self._special_ids[match[0]])
            position = match.end()
        return token_ids + self._encode_literally(text[position:])

    def _encode_literally(self, text: str) -> list[int]:
        shown = _HIDDEN.sub(lambda match: self._special[int(match[1])], text)
        return self._literal.encode(shown, add_special_tokens=False).ids if shown else []


def _is_within(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(begin <= place < end for begin, end in spans)


def _non_empty(messages: object) -> list[object]:
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages: must be a list with at least one message")
    return messages


def _content(content: object, where: str) -> str:
    """A string, or the text parts of a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        if len(parts) == len(content) and all(isinstance(part, str) for part in parts):
            return "".join(part for part in parts if isinstance(part, str))
    raise ValueError(f"{where}.content: must be text")


def _template_source(folder: Path, config: dict[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text()
    template = config.get("chat_template")
    if isinstance(template, list):  # several named ones
        template = next((entry["template"] for entry in template if entry["name"] == "default"), None)
    if not isinstance(template, str):
        raise ValueError(f"{folder.name} has no chat template")
    return template


def _compile(source: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals["raise_exception"] = _raise
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    return environment.from_string(source)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _text(token: object) -> str:
    """Tokens are strings, or objects with a content, in tokenizer_config.json."""
    return str(token["content"] if isinstance(token, dict) else token or "")


def _read_json(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return values
