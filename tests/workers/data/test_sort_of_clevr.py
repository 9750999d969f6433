"""Answers against a scene that was set by hand, and against what can be seen in the picture."""

import numpy as np
import pytest

from workers.data.sort_of_clevr import ANSWERS, COLOURS, QUESTIONS, SHAPES, SIZE, Scene, draw, load

# red, green, blue, orange, grey, yellow
BY_HAND = Scene(
    np.array([[8, 8], [8, 28], [30, 40], [50, 12], [55, 55], [20, 56]]), np.array([0, 1, 1, 0, 1, 1])
)  # 0 is a square


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what shape is the red thing", "square"),
        ("is the green thing on the left", "yes"),
        ("is the blue thing on the left", "no"),
        ("is the orange thing at the top", "no"),
        ("is the yellow thing at the top", "yes"),
        ("what shape is nearest to the red thing", "circle"),
        ("what shape is furthest from the grey thing", "square"),
        ("how many things have the shape of the red thing", "2"),
        ("how many things have the shape of the yellow thing", "4"),
    ],
)
def test_answers(text: str, answer: str) -> None:
    (question,) = [one for one in QUESTIONS if one.text == text]
    assert question.answer(BY_HAND) == answer


def test_things_are_drawn_where_and_as_they_are() -> None:
    picture = draw(BY_HAND)
    for place, shape, colour in zip(BY_HAND.places, BY_HAND.shapes, COLOURS.values(), strict=True):
        of_colour = np.argwhere((picture == colour).all(-1))
        np.testing.assert_allclose(of_colour.mean(0), place)
        assert len(of_colour) == (81 if SHAPES[shape] == "square" else 69)


def test_the_same_seed_gives_the_same_and_kinds_are_even() -> None:
    first, again, other = load(40, 1), load(40, 1), load(40, 2)
    assert np.array_equal(first.pictures, again.pictures) and np.array_equal(first.answer, again.answer)
    assert not np.array_equal(first.pictures, other.pictures)
    assert np.mean([QUESTIONS[n].is_relational for n in first.question]) == 0.5
    assert first.pictures.shape == (40, SIZE, SIZE, 3) and set(first.answer) <= set(range(len(ANSWERS)))


def test_each_thing_is_seen_whole() -> None:
    for picture in load(60, 3).pictures:
        for colour in COLOURS.values():
            assert (picture == colour).all(-1).sum() in (69, 81)
