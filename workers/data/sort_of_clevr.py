"""Sort-of-CLEVR: questions on pictures of six coloured squares and circles (Santoro et al. 2017, arXiv:1706.01427).

Generated, with a generator of our own: figures are comparable on it only. Each picture has one thing of each colour,
none touching another. Half of the questions look at one thing (its shape, the half it lies in), half at two or more
(the shape of the nearest or the furthest, how many have its shape). Questions are sentences: a text tower reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SOURCE, LICENCE = "generated (workers/data/sort_of_clevr.py)", "Apache-2.0"
SIZE = 64  # pixels a side
COLOURS = {
    "red": (220, 40, 40), "green": (40, 170, 60), "blue": (50, 80, 220),
    "orange": (240, 150, 30), "grey": (130, 130, 130), "yellow": (230, 220, 50),
}  # fmt: skip
SHAPES = ("square", "circle")
OF_ONE = ("shape", "side")
KINDS = (*OF_ONE, "relation")  # of questions
ANSWERS = ("yes", "no", *SHAPES, *map(str, range(1, len(COLOURS) + 1)))
_RADIUS = 4
_APART = 3 * _RADIUS  # of centres, along the longer axis


@dataclass(frozen=True, slots=True)
class Scene:
    places: NDArray[np.int64]  # [6, 2] row and column of each centre, in the order of COLOURS
    shapes: NDArray[np.int64]  # [6]


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    kind: str
    answer: Callable[[Scene], str]

    @property
    def is_relational(self) -> bool:
        return self.kind == "relation"


@dataclass(frozen=True, slots=True)
class Asked:
    """Pictures [n, 64, 64, 3] of bytes, and of each question the picture, its number in QUESTIONS and the answer's."""

    pictures: NDArray[np.uint8]
    picture: NDArray[np.int64]
    question: NDArray[np.int64]
    answer: NDArray[np.int64]


def load(count: int, seed: int, questions: int = 20) -> Asked:
    """`count` pictures with so many questions each, as many of the one kind as of the other; the same for a seed."""
    source = np.random.default_rng(seed)
    scenes = [_scene(source) for _ in range(count)]
    kinds = [[n for n, one in enumerate(QUESTIONS) if one.is_relational is kind] for kind in (False, True)]
    asked = np.stack([
        np.concatenate([source.choice(kind, questions // 2, replace=questions // 2 > len(kind)) for kind in kinds])
        for _ in scenes
    ])  # fmt: skip
    answers = [
        [ANSWERS.index(QUESTIONS[n].answer(scene)) for n in row] for scene, row in zip(scenes, asked, strict=True)
    ]
    return Asked(
        np.stack([draw(scene) for scene in scenes]), np.arange(count).repeat(asked.shape[1]), asked.flatten(),
        np.array(answers).flatten(),
    )  # fmt: skip


def draw(scene: Scene) -> NDArray[np.uint8]:
    """[64, 64, 3]"""
    picture = np.full((SIZE, SIZE, 3), 245, np.uint8)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    for place, shape, colour in zip(scene.places, scene.shapes, COLOURS.values(), strict=True):
        down, right = np.abs(rows - place[0]), np.abs(columns - place[1])
        is_square = SHAPES[shape] == "square"
        inside = np.maximum(down, right) <= _RADIUS if is_square else down**2 + right**2 <= (_RADIUS + 0.5) ** 2
        picture[inside] = colour
    return picture


def _scene(source: np.random.Generator) -> Scene:
    places: list[NDArray[np.int64]] = []
    while len(places) < len(COLOURS):
        place = source.integers(_RADIUS + 1, SIZE - _RADIUS - 1, 2)
        if all(np.abs(place - other).max() >= _APART for other in places):
            places.append(place)
    return Scene(np.stack(places), source.integers(0, len(SHAPES), len(COLOURS)))


def _shape(scene: Scene, thing: int) -> str:
    return SHAPES[scene.shapes[thing]]


def _others(scene: Scene, thing: int) -> list[int]:
    """The nearest first."""
    away = ((scene.places - scene.places[thing]) ** 2).sum(1)
    return [int(other) for other in away.argsort(kind="stable") if other != thing]


def _yes(says: bool) -> str:
    return "yes" if says else "no"


def _questions() -> tuple[Question, ...]:
    found = []
    for thing, colour in enumerate(COLOURS):

        def shape(scene: Scene, thing: int = thing) -> str:
            return _shape(scene, thing)

        def is_left(scene: Scene, thing: int = thing) -> str:
            return _yes(scene.places[thing][1] < SIZE // 2)

        def is_high(scene: Scene, thing: int = thing) -> str:
            return _yes(scene.places[thing][0] < SIZE // 2)

        def nearest(scene: Scene, thing: int = thing) -> str:
            return _shape(scene, _others(scene, thing)[0])

        def furthest(scene: Scene, thing: int = thing) -> str:
            return _shape(scene, _others(scene, thing)[-1])

        def alike(scene: Scene, thing: int = thing) -> str:
            return str(int((scene.shapes == scene.shapes[thing]).sum()))

        found += [
            Question(f"what shape is the {colour} thing", "shape", shape),
            Question(f"is the {colour} thing on the left", "side", is_left),
            Question(f"is the {colour} thing at the top", "side", is_high),
            Question(f"what shape is nearest to the {colour} thing", "relation", nearest),
            Question(f"what shape is furthest from the {colour} thing", "relation", furthest),
            Question(f"how many things have the shape of the {colour} thing", "relation", alike),
        ]
    return tuple(found)


QUESTIONS = _questions()
