"""Tasks of texts and of pictures, for bases that read these. Letters as in episodes.py; T tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from workers.data import corpus, imagenet
from workers.data.emoji import VENDORS, Emoji

from .episodes import Tasks

LONGEST = 48  # tokens of a text


class Topics:
    """Labels of several corpora, which are never mixed in a task: news by topic, reviews by sentiment."""

    def __init__(self, groups: Sequence[Sequence[Tensor]], ways: int, shots: int, queries: int) -> None:
        """`groups` has ids [texts, T] of each label of each corpus. Raises ValueError."""
        self.groups = [group for group in groups if len(group) >= ways]
        self.ways, self.shots, self.queries = ways, shots, queries
        if not self.groups or min(len(ids) for group in self.groups for ids in group) < shots + queries:
            raise ValueError(f"no corpus has the texts for tasks of {ways} ways with {shots} + {queries} each")
        counts = np.cumsum([0, *(len(group) for group in self.groups)])
        self.begins, self.classes = counts[:-1], int(counts[-1])

    def draw(self, source: np.random.Generator, tasks: int) -> Tasks:
        drawn, chosen = [], []
        for _ in range(tasks):
            place = source.integers(len(self.groups))
            labels = source.choice(len(self.groups[place]), self.ways, replace=False)
            drawn.append(torch.stack([self._some(source, self.groups[place][label]) for label in labels]))
            chosen.append(labels + self.begins[place])
        return tasks_of(torch.stack(drawn), self.shots, torch.from_numpy(np.stack(chosen)))

    def _some(self, source: np.random.Generator, ids: Tensor) -> Tensor:
        return ids[torch.from_numpy(source.choice(len(ids), self.shots + self.queries, replace=False))]


class Drawings:
    """Emoji as classes: an example by one vendor, the query by the other, each moved and coloured a little anew."""

    shots = queries = 1

    def __init__(self, emoji: Sequence[Emoji], ways: int, size: int, *, is_varied: bool) -> None:
        """Raises ValueError."""
        if len(emoji) < ways:
            raise ValueError(f"there are {len(emoji)} concepts, fewer than {ways}")
        pictures = [np.stack([one.pictures[vendor] for vendor in VENDORS]) for one in emoji]
        self.pictures = torch.from_numpy(np.stack(pictures)).permute(0, 1, 4, 2, 3)  # (C, vendors, 3, Y, X)
        self.ways, self.size, self.is_varied, self.classes = ways, size, is_varied, len(emoji)

    def draw(self, source: np.random.Generator, tasks: int) -> Tasks:
        chosen = torch.from_numpy(
            np.stack([source.choice(self.classes, self.ways, replace=False) for _ in range(tasks)])
        )
        order = torch.from_numpy(source.permuted(np.tile([0, 1], (tasks, self.ways, 1)), axis=2))
        pictures = self.pictures[chosen[..., None], order].float() / 255  # (B, K, 2, 3, Y, X)
        shape = pictures.shape[:3]
        return tasks_of(self._seen(pictures.flatten(0, 2), source).unflatten(0, shape), self.shots, chosen)

    def _seen(self, pictures: Tensor, source: np.random.Generator) -> Tensor:
        """[n, 3, Y, X] between 0 and 1 as the base reads them, [n, 3, size, size]."""
        if self.is_varied:
            light = torch.from_numpy(source.uniform(0.8, 1.2, (len(pictures), 3, 1, 1))).float()
            right, down = source.integers(-4, 5, 2)
            pictures = (pictures * light).clamp(0, 1).roll((int(right), int(down)), (2, 3))
        larger = torch.nn.functional.interpolate(pictures, (self.size, self.size), mode="bilinear", antialias=True)
        mean, deviation = (torch.tensor(one)[:, None, None] for one in (imagenet.MEAN, imagenet.DEVIATION))
        return (larger - mean) / deviation


def tasks_of(drawn: Tensor, shots: int, chosen: Tensor) -> Tasks:
    """Of [B, K, shots + queries, ...] and classes [B, K]."""
    count, ways, each = drawn.shape[:3]
    x, queries = drawn.split([shots, each - shots], 2)

    def columns(some: int) -> Tensor:
        return torch.eye(ways).repeat_interleave(some, 0).expand(count, -1, -1)

    return Tasks(x.flatten(1, 2), columns(shots), queries.flatten(1, 2), columns(each - shots), chosen)


def topics(
    parts: Sequence[tuple[str, Sequence[str]]], tokenizer: Tokenizer, *, of_test: bool, most: int = 0
) -> list[list[Tensor]]:
    """Ids of each label named, of corpora by their names: of their test, or of their training; of a corpus's test at
    most so many texts, 0 for all. Raises DataMissing."""
    tokenizer.enable_truncation(LONGEST)
    tokenizer.no_padding()
    found = []
    for name, labels in parts:
        whole = corpus.load(name).some(test=most)
        examples = whole.test if of_test else whole.train
        rows = [[text for text, label in examples if whole.labels[label] == wanted] for wanted in labels]
        found.append([_ids(tokenizer, texts) for texts in rows])
    return found


def _ids(tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """[texts, LONGEST], 0 behind the end."""
    ids = torch.zeros(len(texts), LONGEST, dtype=torch.long)
    for row, encoding in zip(ids, tokenizer.encode_batch_fast(list(texts)), strict=True):
        row[: len(encoding.ids)] = torch.tensor(encoding.ids)
    return ids
