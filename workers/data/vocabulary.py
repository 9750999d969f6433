"""Tokenizers: made from the training texts, or MiniLM's with the words that are not needed left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PAD, UNKNOWN, BEGIN, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL = [PAD, UNKNOWN, BEGIN, END]


def words(tokens: Sequence[str]) -> Tokenizer:
    """Words between spaces, each one token; [CLS] in front."""
    names = [*SPECIAL, *tokens]
    made = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, 2)])
    return made


def byte_pairs(texts: Iterable[str], size: int) -> Tokenizer:
    """Learned from the texts: for languages that put no space between words."""
    made = Tokenizer(models.BPE(unk_token=UNKNOWN))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()])
    made.decoder = decoders.Fuse()
    made.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False))
    made.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A {END}", special_tokens=[(BEGIN, 2), (END, 3)]
    )
    return made


def pruned(source: Path, texts: Iterable[str], size: int) -> tuple[Tokenizer, list[int]]:
    """A WordPiece tokenizer with its `size` most useful pieces, and which rows of the embedding they had.

    Special tokens and single characters stay, then the pieces that the texts need most. A word that is gone is
    written with the shorter pieces that are left.
    """
    whole = Tokenizer.from_file(str(source))
    whole.no_truncation()
    whole.no_padding()
    counts = Counter(token for encoding in whole.encode_batch(list(texts)) for token in encoding.ids)
    content: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    pieces: dict[str, int] = content["model"]["vocab"]
    by_id = {number: piece for piece, number in pieces.items()}
    needed = {number for number, piece in by_id.items() if piece in {*SPECIAL, "[MASK]"} or _is_letter(piece)}
    often = [number for number, _ in counts.most_common() if number not in needed]
    kept = sorted([*needed, *often[: max(0, size - len(needed))]])
    content["model"]["vocab"] = {by_id[number]: place for place, number in enumerate(kept)}
    _renumber(content, {number: place for place, number in enumerate(kept)})
    return Tokenizer.from_str(json.dumps(content)), kept


def extended(tokenizer: Tokenizer, characters: Iterable[str]) -> Tokenizer:
    """A WordPiece tokenizer with these characters behind its pieces, as far as it lacks them. MiniLM's, as BERT's,
    reads each Chinese character by itself."""
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    pieces: dict[str, int] = content["model"]["vocab"]
    for character in sorted(set(characters)):
        pieces.setdefault(character, len(pieces))
    return Tokenizer.from_str(json.dumps(content))


def _is_letter(piece: str) -> bool:
    """A single character of the Latin script, digits and punctuation, also inside a word."""
    letter = piece.removeprefix("##")
    return len(letter) == 1 and ord(letter) < 0x250


def _renumber(content: dict[str, Any], places: dict[int, int]) -> None:
    """Added tokens and the template of [CLS] and [SEP]."""
    content["truncation"] = content["padding"] = None
    content["added_tokens"] = [{**token, "id": places[token["id"]]} for token in content["added_tokens"]]
    for token in content["post_processor"]["special_tokens"].values():
        token["ids"] = [places[number] for number in token["ids"]]
