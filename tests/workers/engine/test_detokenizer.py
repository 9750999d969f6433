"""Pieces of text joined together are the text, whatever the tokens; and no piece is half a character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.tokenizers import byte_tokenizer, sentencepiece_tokenizer, trained_tokenizer
from workers.engine.detokenizer import Vocabulary

VOCABULARIES = [Vocabulary(make()) for make in (byte_tokenizer, trained_tokenizer, sentencepiece_tokenizer)]
TEXTS = ["plain words", "你好，世界", "family 👩‍👩‍👧 and 🇨🇳 flags", "naïve café ½", "tabs\tand\nlines", "𝔘𝔫𝔦"]


def pieces(vocabulary: Vocabulary, token_ids: list[int]) -> list[str]:
    detokenizer = vocabulary.detokenizer()
    return [*(detokenizer.push(token_id) for token_id in token_ids), detokenizer.flush()]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("vocabulary", VOCABULARIES[:2])
def test_text_comes_back_whole(vocabulary, text):
    token_ids = vocabulary.tokenizer.encode(text).ids

    parts = pieces(vocabulary, token_ids)

    assert "".join(parts) == text
    assert not any("\ufffd" in part for part in parts)


@pytest.mark.parametrize("vocabulary", VOCABULARIES[:2])
@given(data=st.data())
def test_joined_pieces_equal_decoding_at_once(vocabulary, data):
    size = vocabulary.tokenizer.get_vocab_size()
    token_ids = data.draw(st.lists(st.integers(0, size - 1), max_size=60))

    expected = vocabulary.tokenizer.decode(token_ids, skip_special_tokens=True)

    assert "".join(pieces(vocabulary, token_ids)) == expected


@given(st.lists(st.sampled_from(["▁the", "▁cat", "s", "▁", "你", "好", "🙂", "é", "</s>"])))
def test_byte_fallback_equals_decoding_at_once(words):
    """As a model writes it: characters without a token are spelled in bytes."""
    vocabulary = VOCABULARIES[2]
    known = vocabulary.tokenizer.get_vocab()
    spelled = [[word] if word in known else [f"<0x{byte:02X}>" for byte in word.encode()] for word in words]
    token_ids = [known[token] for tokens in spelled for token in tokens]

    parts = pieces(vocabulary, token_ids)

    assert "".join(parts) == vocabulary.tokenizer.decode(token_ids, skip_special_tokens=True)
    assert not any("\ufffd" in part for part in parts)


@given(text=st.text())
def test_every_prefix_is_valid_text(text):
    detokenizer = VOCABULARIES[0].detokenizer()
    shown = ""
    for token_id in VOCABULARIES[0].tokenizer.encode(text).ids:
        shown += detokenizer.push(token_id)
        assert text.startswith(shown)


def test_half_a_character_waits_for_its_other_half():
    detokenizer = VOCABULARIES[0].detokenizer()

    assert [detokenizer.push(byte) for byte in "🙂".encode()] == ["", "", "", "🙂"]


def test_half_a_character_at_the_end_is_marked():
    assert pieces(VOCABULARIES[0], list("好".encode())[:2]) == ["", "", "\ufffd"]


def test_special_tokens_have_no_text_but_bytes():
    vocabulary = VOCABULARIES[0]

    assert pieces(vocabulary, [65, 257, 66]) == ["A", "", "B", ""]
    assert vocabulary.token_bytes(257) == b"<|im_end|>"
    assert vocabulary.token_bytes(0xE4) == b"\xe4"
    assert vocabulary.token_bytes(9999) == b""
