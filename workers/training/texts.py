"""Labelled texts as batches: tokens once, then rows of nearly the same length together."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from workers.data.corpus import Example

_POOL = 32  # batches that are sorted by length together


@dataclass(frozen=True, slots=True)
class Batch:
    ids: Tensor  # [B, T]
    mask: Tensor  # [B, T]
    labels: Tensor  # [B]


class Texts:
    """Tokens of examples, cut at `longest`."""

    def __init__(self, examples: list[Example], tokenizer: Tokenizer, longest: int, pad_id: int) -> None:
        encodings = tokenizer.encode_batch_fast([text for text, _ in examples])
        self.rows = [encoding.ids[:longest] for encoding in encodings]
        self.labels = [label for _, label in examples]
        self._pad = pad_id

    def __len__(self) -> int:
        return len(self.rows)

    def batch_of_step(self, step: int, size: int, seed: int) -> Batch:
        """Every example once in each pass; the order follows from the seed and the pass."""
        count = max(1, len(self) // size)
        places = batches_of_pass([len(row) for row in self.rows], step // count, size, seed)[step % count]
        return self._batch(places)

    def in_order(self, size: int) -> Iterator[Batch]:
        """Every example once, the shortest first."""
        places = sorted(range(len(self)), key=lambda place: len(self.rows[place]))
        for begin in range(0, len(places), size):
            yield self._batch(places[begin : begin + size])

    def _batch(self, places: list[int]) -> Batch:
        longest = max(len(self.rows[place]) for place in places)
        ids = torch.full((len(places), longest), self._pad)
        for row, place in zip(ids, places, strict=True):
            row[: len(self.rows[place])] = torch.tensor(self.rows[place])
        lengths = torch.tensor([len(self.rows[place]) for place in places])
        mask = (torch.arange(longest) < lengths[:, None]).long()
        return Batch(ids, mask, torch.tensor([self.labels[place] for place in places]))


def batches_of_pass(lengths: list[int], epoch: int, size: int, seed: int) -> list[list[int]]:
    """Places of the rows of each whole batch, rows of nearly the same length together."""
    source = random.Random(f"{seed} {epoch}")
    places = source.sample(range(len(lengths)), len(lengths))
    pools = [places[begin : begin + size * _POOL] for begin in range(0, len(places), size * _POOL)]
    places = [place for pool in pools for place in sorted(pool, key=lambda one: lengths[one])]
    batches = [places[begin : begin + size] for begin in range(0, len(places), size)]
    whole = [batch for batch in batches if len(batch) == size] or batches
    return source.sample(whole, len(whole))
