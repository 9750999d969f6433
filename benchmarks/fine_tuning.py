"""Fine-tuning of a whole base on the few examples of one task, looked at as it goes: what V5 adapts in place of.

All weights go on by AdamW from the pretrained ones, with a head of their own. `new` is a linear layer as torch draws
it, which is what fine-tuning commonly means; `prototypes` begins at the means of the classes, the most that is known
before the first step. The rate is chosen for each on tasks of the validation. The queries of a task say how good it is
after a step, and are no part of the time.

Seconds are those of the processor, of one thread: other work on the machine is not in them. What the clock said is kept
beside. Curves are kept in a file as they come, so that one session goes on where another ended.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.training.episodes import Tasks
from workers.zoo.v5_meta_lora import SHARP, Base, nearest, prototypes

HEADS = ("new", "prototypes")
STEPS = 48
LOOKS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 36, 40, 44, STEPS)  # after so many steps
CHOSEN_ON = 5  # tasks of the validation, for each rate
_SETTLED = STEPS * 3 // 4  # what comes from here on is what it converges to


class Lesson(NamedTuple):
    """One task."""

    x: Tensor  # [N, ...]
    y: Tensor  # [N, K]
    queries: Tensor  # [Q, ...]
    wanted: Tensor  # [Q, K]


class Point(NamedTuple):
    step: int
    seconds: float  # of the processor
    wall: float
    accuracy: float


Curve = list[Point]
Rates = tuple[float, ...]


def lessons(tasks: Iterator[Tasks]) -> Iterator[Lesson]:
    for some in tasks:
        for at in range(len(some.x)):
            yield Lesson(some.x[at], some.y[at], some.queries[at], some.wanted[at])


def accuracy(outputs: Tensor, wanted: Tensor) -> float:
    return (outputs.argmax(-1) == wanted.argmax(-1)).double().mean().item()


class Stopwatch:
    """Adds up what its blocks take."""

    def __init__(self) -> None:
        self.seconds = self.wall = 0.0

    def __enter__(self) -> None:
        self._began = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.process_time() - self._began[0]
        self.wall += time.perf_counter() - self._began[1]


def fine_tune(base: Base, lesson: Lesson, rate: float, head: str, seed: int = 0) -> Curve:
    """`base` stays as it is, and is one without adapters; `seed` draws the head."""
    tuned, watch, found = copy.deepcopy(base).requires_grad_(True), Stopwatch(), []
    labels = lesson.y.argmax(-1)
    _warm_up()
    with watch:
        last = _head(tuned, lesson, head, seed)
        optimizer = torch.optim.AdamW([*tuned.parameters(), *last.parameters()], lr=rate, weight_decay=0.0)
    for step in range(STEPS + 1):
        if step:
            with watch:
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(last(tuned(lesson.x)), labels).backward()
                optimizer.step()
        if step in LOOKS:
            with torch.no_grad():
                right = accuracy(last(tuned(lesson.queries)), lesson.wanted)
            found.append(Point(step, watch.seconds, watch.wall, right))
    return found


@cache
def _warm_up() -> None:
    """What torch imports with the first optimiser of a process is in no task's time: a second."""
    some = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([some], lr=0.1)
    some.sum().backward()
    optimizer.step()


def _head(base: Base, lesson: Lesson, kind: str, seed: int) -> nn.Linear:
    torch.manual_seed(seed)
    made = nn.Linear(base.features, lesson.y.shape[-1])
    if kind == "prototypes":
        with torch.no_grad():
            known = nearest(prototypes(base(lesson.x), lesson.y), torch.tensor(SHARP / base.features))
            made.weight.copy_(known.weight)
            made.bias.copy_(known.bias)
    return made


def converged(curve: Curve) -> float:
    """Accuracy over the last quarter of the steps."""
    return mean(point.accuracy for point in curve if point.step >= _SETTLED)


def reached(curve: Curve, wanted: float) -> Point | None:
    """The earliest point that is as good as that."""
    return next((point for point in curve if point.accuracy >= wanted), None)


def over_tasks(curves: list[Curve]) -> Curve:
    """Means at each look: what is reached on the average task."""
    return [
        Point(some[0].step, *(mean(values) for values in list(zip(*some, strict=True))[1:]))
        for some in zip(*curves, strict=True)
    ]


class Kept:
    """Rate and curves of one base and one head, in a file; curves by the kind of their tasks."""

    def __init__(self, path: Path, head: str, rates: Rates) -> None:
        self.path, self.head, self.rates = path, head, rates
        wanted = {"head": head, "rates": list(rates), "steps": STEPS}
        found = json.loads(path.read_text()) if path.exists() else {}
        self.content: dict[str, Any] = found if found.get("of") == wanted else {"of": wanted, "tried": {}, "curves": {}}

    def curves(self, kind: str) -> list[Curve]:
        return [[Point(*point) for point in curve] for curve in self.content["curves"].get(kind, [])]

    @property
    def rate(self) -> float:
        """The one that converges to most; of equal ones the larger, which is sooner there."""
        tried: dict[str, float] = self.content["tried"]
        return float(max(tried, key=lambda rate: (tried[rate], float(rate))))

    def try_rates(self, base: Base, validation: Callable[[], Iterator[Lesson]]) -> None:
        for rate in self.rates:
            if str(rate) not in self.content["tried"]:
                some = [converged(fine_tune(base, lesson, rate, self.head, at))
                        for at, lesson in zip(range(CHOSEN_ON), validation(), strict=False)]  # fmt: skip
                self.content["tried"][str(rate)] = mean(some)
                self._write()

    def go_on(self, base: Base, kind: str, test: Iterator[Lesson], tasks: int) -> None:
        """Until there are so many curves."""
        found = self.content["curves"].setdefault(kind, [])
        for at, lesson in zip(range(tasks), test, strict=False):
            if at >= len(found):
                found.append(fine_tune(base, lesson, self.rate, self.head, at))
                self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.content) + "\n")
        partial.replace(self.path)
