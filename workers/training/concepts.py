"""Pictures with what they are called, as batches: a picture of each concept, and a text in one of the languages."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from workers.data.emoji import LANGUAGES, Emoji

_RUN = 4  # neighbours in Unicode's order that are in a batch together
LONGEST = 12  # tokens of a training text; nearly all names are shorter
_NAME = 0.6  # share of the texts that are the name; the others are some of its keywords


@dataclass(frozen=True, slots=True)
class Batch:
    places: Tensor  # [B] which concepts
    pixels: Tensor  # [B, 3, Y, X] between 0 and 1
    ids: Tensor  # [M, T], of the first M of them
    mask: Tensor  # [M, T]
    same: Tensor  # [B, M]: which text names which picture


class Concepts:
    """Of one vendor. Two names of one picture, to the byte, are both right."""

    def __init__(self, emoji: Sequence[Emoji], vendor: str, tokenizer: Tokenizer) -> None:
        self.emoji = sorted(emoji, key=lambda one: (one.order, one.code))
        self.tokenizer = tokenizer
        pictures = [one.pictures[vendor] for one in self.emoji]
        self.pixels = torch.stack([torch.from_numpy(picture.copy()) for picture in pictures]).permute(0, 3, 1, 2)
        seen: dict[bytes, int] = {}
        self.kind = torch.tensor([seen.setdefault(picture.tobytes(), len(seen)) for picture in pictures])

    def __len__(self) -> int:
        return len(self.emoji)

    @property
    def same(self) -> Tensor:
        """[concepts, concepts]: whose picture is whose."""
        return self.kind[:, None] == self.kind

    def names(self, language: str) -> tuple[Tensor, Tensor]:
        """Ids and mask of all names."""
        return encoded(self.tokenizer, [one.names[language] for one in self.emoji])

    def batch_of_step(self, step: int, size: int, seed: int, texts: int = 0) -> Batch:
        """Every concept once in each pass, what is alike together: a batch has pairs that are hard to tell. With
        `texts`, only so many of them come with one."""
        count = max(1, len(self) // size)
        order = self._order(step // count, seed)
        chosen = order[step % count * size :][:size]
        source = random.Random(f"{seed} {step} texts")
        told = chosen[: texts or size]
        written = [_text(self.emoji[place], source.choice(LANGUAGES), source) for place in told]
        ids, mask = encoded(self.tokenizer, written)
        pixels, same = self.pixels[chosen].float() / 255, self.kind[chosen][:, None] == self.kind[told]
        return Batch(torch.tensor(chosen), pixels, ids[:, :LONGEST], mask[:, :LONGEST], same)

    def _order(self, epoch: int, seed: int) -> list[int]:
        source = random.Random(f"{seed} {epoch}")
        begin = source.randrange(_RUN)
        places = [*range(begin, len(self)), *range(begin)]
        runs = [places[place : place + _RUN] for place in range(0, len(places), _RUN)]
        source.shuffle(runs)
        return [place for run in runs for place in run]


def _text(one: Emoji, language: str, source: random.Random) -> str:
    tags = one.tags[language]
    if not tags or source.random() < _NAME:
        return one.names[language]
    some = source.sample(tags, min(len(tags), source.randint(1, 2)))
    return " ".join([one.names[language], *some] if source.random() < 0.3 else some)


def encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids and mask, [texts, T]."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, found in zip(ids, rows, strict=True):
        row[: len(found)] = torch.tensor(found)
    return ids, (torch.arange(ids.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]).long()
