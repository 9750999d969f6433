"""Gradient steps on one classifier's examples: only the strengths of the adapters move, a few hundred numbers, so that
what is refined is served as before, in a batch with all others (contracts/few_shot.py).

- Kopiczko et al. 2023, VeRA, arXiv:2310.11454: adapters stay as they were drawn, their strengths are trained.
- Snell et al. 2017, arXiv:1703.05175: the loss, with each example judged by the means of what is left without it.

How many steps pay is read from examples that had no part: they are divided into parts, each is told by strengths and
means of the others, after every few steps. The number of steps that leaves least surprise is taken on all, if it tells
more of them right than none. It was chosen on the examples that are reported: the report is a little better than the
truth.

Letters: N examples, K classes, D features, R ranks, S looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from workers.pipelines.prototypes import Array, Classes, sharpening, squared_distances, surprise
from workers.zoo.v5_meta_lora import Base

Collate = Callable[[Sequence[Any]], Tensor]  # inputs of some lengths to what the base reads
Say = Callable[[float], None]  # share that is done

PARTS = 4
STEPS, EVERY = 40, 4  # gradient steps at most, and between two looks at what was left out
_RATE = 0.05  # of Adam
_ROWS = 64  # examples in a step, at most
_LOOK = 32  # examples that are looked at together


@dataclass(frozen=True, slots=True)
class Examples:
    """`sharpness` is what the model multiplies squared distances by."""

    payloads: Sequence[Any]
    labels: Classes
    classes: int
    sharpness: float


@dataclass(frozen=True, slots=True)
class Refined:
    """`before` and `left_out` are squared distances [N, K] of what was left out, at 0 steps and at `steps`."""

    steps: int
    strengths: Array
    before: Array
    left_out: Array


def refine(base: Base, collate: Collate, examples: Examples, strengths: Array, say: Say) -> Refined:
    """From strengths [R] on; 0 steps when none pays."""
    looks = range(0, STEPS + 1, EVERY)
    found = np.zeros((len(looks), len(examples.labels), examples.classes), np.float32)
    work = PARTS * STEPS + STEPS  # the last one on all
    for number, out in enumerate(parts(examples.labels)):
        rest = np.setdiff1d(np.arange(len(examples.labels)), out)
        for step, s in enumerate(ascend(base, collate, examples, rest, strengths)):
            if step % EVERY == 0:
                found[step // EVERY, out] = distances(base, collate, examples, rest, out, s)
            say((number * STEPS + step) / work)
    steps = looks[_best(found, examples)]
    s = torch.from_numpy(strengths)
    everything = np.arange(len(examples.labels))
    for step, s in enumerate(ascend(base, collate, examples, everything, strengths)):  # noqa: B007
        if step == steps:
            break
        say((PARTS * STEPS + step) / work)
    return Refined(steps, s.numpy().copy(), found[0], found[steps // EVERY])


def parts(labels: Classes) -> Iterator[NDArray[np.int64]]:
    """Places of each part; every class is spread over all of them."""
    source = np.random.default_rng(0)
    place = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        mine = source.permutation(np.flatnonzero(labels == label))
        place[mine] = (np.arange(len(mine)) + source.integers(PARTS)) % PARTS
    for part in range(PARTS):
        yield np.flatnonzero(place == part)


def ascend(
    base: Base, collate: Collate, examples: Examples, rows: NDArray[np.int64], strengths: Array
) -> Iterator[Tensor]:
    """The strengths [R] before the first step, and after each of STEPS."""
    s = torch.from_numpy(strengths).clone().requires_grad_()
    optimizer = torch.optim.Adam([s], _RATE)
    source = np.random.default_rng(0)
    yield s.detach()
    for _ in range(STEPS):
        some = _some(examples, rows, source)
        features = base(collate([examples.payloads[row] for row in some]), s)
        optimizer.zero_grad()
        _loss(features, torch.from_numpy(examples.labels[some]), examples).backward()
        optimizer.step()
        yield s.detach()


def _some(examples: Examples, rows: NDArray[np.int64], source: np.random.Generator) -> NDArray[np.int64]:
    """All, or as many of each class as _ROWS allows and at least two: one alone has nothing to be told by."""
    if len(rows) <= _ROWS:
        return rows
    each = max(2, _ROWS // examples.classes)
    labels = examples.labels[rows]
    return np.concatenate([
        source.permutation(rows[labels == label])[:each] for label in range(examples.classes)
    ])  # fmt: skip


def _loss(features: Tensor, labels: Tensor, examples: Examples) -> Tensor:
    targets = F.one_hot(labels, examples.classes).float()
    counts = targets.sum(0)
    centres = targets.T @ features / counts.clamp(min=1)[:, None]
    far = torch.cdist(features, centres).square()
    many = counts[labels]
    # f - (n c - f) / (n - 1) = (f - c) n / (n - 1)
    others = torch.where(targets > 0, (many / (many - 1).clamp(min=1)).square()[:, None], 1.0)
    logits = (-examples.sharpness * far * others).masked_fill(counts == 0, -torch.inf)
    return F.cross_entropy(logits[many > 1], labels[many > 1])


@torch.no_grad()
def distances(
    base: Base, collate: Collate, examples: Examples, rest: NDArray[np.int64], out: NDArray[np.int64], s: Tensor
) -> Array:
    """[len(out), K]: from the means of the others."""
    seen, asked = (_look(base, collate, [examples.payloads[row] for row in rows], s) for rows in (rest, out))
    labels = examples.labels[rest]
    centres = np.stack([seen[labels == label].mean(0) for label in range(examples.classes)])
    return squared_distances(asked, centres)


def _look(base: Base, collate: Collate, payloads: Sequence[Any], s: Tensor) -> Array:
    """[N, D]"""
    found = [base(collate(payloads[begin : begin + _LOOK]), s) for begin in range(0, len(payloads), _LOOK)]
    result: Array = torch.cat(found).numpy()
    return result


def _best(left_out: Array, examples: Examples) -> int:
    """Which look of [S, N, K] is taken."""

    def surprised(at: int) -> float:
        logits = -examples.sharpness * left_out[at]
        return surprise(sharpening(logits, examples.labels) * logits, examples.labels)

    best = min(range(len(left_out)), key=surprised)
    right = (left_out.argmin(-1) == examples.labels).sum(-1)
    return best if right[best] > right[0] else 0
