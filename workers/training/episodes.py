"""Tasks of a few examples each, drawn anew for every step.

Letters: B tasks, N examples, Q queries, K outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workers.data import curves
from workers.data.omniglot import Alphabet

_QUARTERS = 4


class Tasks(NamedTuple):
    x: Tensor  # [B, N, ...] examples
    y: Tensor  # [B, N, K]: 1 in the column of the class and 0 elsewhere, or values
    queries: Tensor  # [B, Q, ...]
    wanted: Tensor  # [B, Q, K]
    classes: Tensor  # [B, K] what the columns stand for in all of the data; for curves the mode [B, 1]


class Episodes(Protocol):
    def draw(self, source: np.random.Generator, tasks: int) -> Tasks:
        """The same for the same source."""


class Letters:
    """Classes of Omniglot. `is_turned` makes four of each letter, turned by quarters (Santoro et al. 2016,
    arXiv:1605.06065); `is_varied` draws each picture a little larger, slanted or moved."""

    def __init__(self, alphabets: Sequence[Alphabet], ways: int, shots: int, queries: int, *, is_within: bool = False,
                 is_turned: bool = False, is_varied: bool = False) -> None:  # fmt: skip
        """With `is_within` all classes of a task are of one alphabet, of those that have enough. Raises ValueError."""
        drawn = torch.from_numpy(np.concatenate([one.pictures for one in alphabets]))  # (C, drawers, Y, X)
        self.pictures = torch.cat([drawn.rot90(turn, (2, 3)) for turn in range(_QUARTERS)]) if is_turned else drawn
        self.ways, self.shots, self.queries, self.is_varied = ways, shots, queries, is_varied
        self.groups = _by_alphabet(alphabets, len(drawn), ways) if is_within else [np.arange(len(self.pictures))]
        if not self.groups or len(self.groups[0]) < ways:
            raise ValueError(f"no alphabet has the letters for tasks of {ways} ways")
        if shots + queries > self.pictures.shape[1]:
            raise ValueError(f"a letter has {self.pictures.shape[1]} drawings, fewer than {shots} + {queries}")

    def draw(self, source: np.random.Generator, tasks: int) -> Tasks:
        classes, drawers = [], []
        for _ in range(tasks):
            group = self.groups[source.integers(len(self.groups))]
            classes.append(source.choice(group, self.ways, replace=False))
            some = [source.permutation(self.pictures.shape[1])[: self.shots + self.queries] for _ in range(self.ways)]
            drawers.append(np.stack(some))
        chosen = torch.from_numpy(np.stack(classes))  # (B, K)
        pictures = self.pictures[chosen[..., None], torch.from_numpy(np.stack(drawers))].float() / 255
        if self.is_varied:
            pictures = _varied(pictures.flatten(0, 2), source).view_as(pictures)
        x, queries = pictures.split([self.shots, self.queries], 2)  # (B, K, each, Y, X)
        return Tasks(x.flatten(1, 2)[:, :, None], self._columns(tasks, self.shots),
                     queries.flatten(1, 2)[:, :, None], self._columns(tasks, self.queries), chosen)  # fmt: skip

    def _columns(self, tasks: int, each: int) -> Tensor:
        return torch.eye(self.ways).repeat_interleave(each, 0).expand(tasks, -1, -1)


def _by_alphabet(alphabets: Sequence[Alphabet], letters: int, ways: int) -> list[np.ndarray]:
    """Places of the letters as they are drawn, of each alphabet that has enough of them."""
    ends = np.cumsum([len(one.pictures) for one in alphabets])
    return [group for group in np.split(np.arange(letters), ends[:-1]) if len(group) >= ways]


def _varied(pictures: Tensor, source: np.random.Generator) -> Tensor:
    """[n, Y, X]: as another hand would have drawn it."""
    turn, lean, right, down = torch.from_numpy(source.uniform(-1, 1, (4, len(pictures)))).float()
    wide, high = torch.from_numpy(source.uniform(0.85, 1.2, (2, len(pictures)))).float()
    rows = [torch.stack([wide, 0.2 * lean - 0.2 * turn, 0.1 * right], -1),
            torch.stack([0.2 * turn, high, 0.1 * down], -1)]  # fmt: skip
    shape = [len(pictures), 1, *pictures.shape[1:]]
    grid = F.affine_grid(torch.stack(rows, 1), shape, align_corners=False)
    return F.grid_sample(pictures[:, None], grid, align_corners=False)[:, 0]


class Points:
    """Points of curves."""

    def __init__(self, modes: int, shots: int, queries: int) -> None:
        self.modes, self.shots, self.queries = modes, shots, queries

    def draw(self, source: np.random.Generator, tasks: int) -> Tasks:
        found = curves.draw(source, self.modes, tasks, self.shots + self.queries)
        parts = [torch.from_numpy(one).split([self.shots, self.queries], 1) for one in (found.x, found.y)]
        (x, queries), (y, wanted) = parts
        return Tasks(x, y, queries, wanted, torch.from_numpy(found.mode)[:, None])
