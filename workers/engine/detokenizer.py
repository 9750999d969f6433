"""Token ids to text, one token at a time, never half a character.

Joined together, the pieces equal decoding all ids at once; the cost of a piece does not grow with
what came before. One exception: a decoder with byte fallback marks every byte of a run when one of
them is invalid, in hindsight; pieces that are out already stay as they were.
"""

from __future__ import annotations

import codecs
from functools import cached_property
from typing import Protocol

from tokenizers import Tokenizer

_BROKEN = "\ufffd"


class Detokenizer(Protocol):
    def push(self, token_id: int) -> str:
        """The text that is certain now; empty while a character is incomplete."""

    def flush(self) -> str:
        """What is left at the end, with U+FFFD for bytes that never became a character."""


class Vocabulary:
    """What one token is as bytes, and how a tokenizer's ids become text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self.special_ids = frozenset(token_id for token_id, token in added.items() if token.special)

    @cached_property
    def is_byte_level(self) -> bool:
        """GPT-2's alphabet: every token is a string of bytes, so text is their concatenation."""
        return type(self.tokenizer.decoder).__name__ == "ByteLevel"

    def token_bytes(self, token_id: int) -> bytes:
        """Of one token alone; special tokens read as written, unknown ids as nothing."""
        token = self.tokenizer.id_to_token(token_id)
        if token is None:
            return b""
        if not self.is_byte_level:
            return self.tokenizer.decode([token_id], skip_special_tokens=False).encode()
        try:
            return bytes(_BYTE_OF[character] for character in token)
        except KeyError:
            return token.encode()

    def detokenizer(self) -> Detokenizer:
        return _ByteDetokenizer(self) if self.is_byte_level else _WindowDetokenizer(self)


class _ByteDetokenizer:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        if token_id in self._vocabulary.special_ids:
            return ""
        return self._decoder.decode(self._vocabulary.token_bytes(token_id))

    def flush(self) -> str:
        return self._decoder.decode(b"", final=True)


class _WindowDetokenizer:
    """For decoders that look at neighbours (SentencePiece, byte fallback).

    Decodes a short window with and without the new tokens and takes the difference. A character
    has at most four bytes, so after four held tokens the text is broken for good and released.
    """

    _HOLD = 4

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._window: list[int] = []
        self._read = 0  # tokens of the window whose text is out

    def push(self, token_id: int) -> str:
        if token_id in self._vocabulary.special_ids:
            return ""
        self._window.append(token_id)
        text = self._new_text()
        held = len(self._window) - self._read
        if not text or (text.endswith(_BROKEN) and held <= self._HOLD):
            return ""
        self._advance()
        return text

    def flush(self) -> str:
        text = self._new_text()
        self._advance()
        return text

    def _new_text(self) -> str:
        before = self._decode(self._window[: self._read])
        return self._decode(self._window)[len(before) :]

    def _advance(self) -> None:
        """Keeps the tokens of the last piece as context for the next."""
        self._window = self._window[self._read :]
        self._read = len(self._window)

    def _decode(self, token_ids: list[int]) -> str:
        return self._vocabulary.tokenizer.decode(token_ids, skip_special_tokens=True)


def _alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins: printable Latin-1 for itself, the other bytes from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    shifted = {chr(0x100 + index): byte for index, byte in enumerate(others)}
    return {chr(byte): byte for byte in printable} | shifted


_BYTE_OF = _alphabet()
