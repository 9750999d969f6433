"""Tasks of letters: no drawing twice, no class of one part in another."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.workers.omniglot_archives import write_archives
from workers.data import omniglot
from workers.data.omniglot import Alphabet, Omniglot
from workers.training.episodes import Letters, Points


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Omniglot:
    write_archives(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return omniglot.load()


def numbered(*counts: int) -> list[Alphabet]:
    """Each drawing is filled with a number of its own; letter n has those from 20 n on."""
    found, first = [], 0
    for place, count in enumerate(counts):
        values = np.arange(20 * first, 20 * (first + count), dtype=np.uint8).reshape(count, 20, 1, 1)
        found.append(Alphabet(f"a{place}", tuple(range(first, first + count)), values.repeat(28, 2).repeat(28, 3)))
        first += count
    return found


def drawings(x: torch.Tensor) -> np.ndarray:
    """[B, N] numbers of what was drawn"""
    return (x[:, :, 0, 14, 14] * 255).round().long().numpy()


def test_a_drawing_is_learned_from_or_judged_by_and_columns_are_its_letter() -> None:
    tasks = Letters(numbered(4, 6), ways=3, shots=2, queries=4).draw(np.random.default_rng(0), 20)
    assert tasks.x.shape == (20, 6, 1, 28, 28) and tasks.queries.shape == (20, 12, 1, 28, 28)
    for some, columns in ((drawings(tasks.x), tasks.y), (drawings(tasks.queries), tasks.wanted)):
        assert np.array_equal(some // 20, tasks.classes.gather(1, columns.argmax(-1)).numpy())
    for seen, asked in zip(drawings(tasks.x), drawings(tasks.queries), strict=True):
        assert len({*seen, *asked}) == 18
    assert all(len(set(row)) == 3 for row in tasks.classes.tolist())


def test_within_an_alphabet_letters_are_of_one_that_has_enough() -> None:
    tasks = Letters(numbered(4, 2, 5), 3, 1, 1, is_within=True).draw(np.random.default_rng(0), 30)
    owners = [{(number >= 4) + (number >= 6) for number in row} for row in tasks.classes.tolist()]
    assert all(len(one) == 1 for one in owners) and set().union(*owners) == {0, 2}


def test_a_turned_letter_is_another_class_and_keeps_the_letter_of_its_part(letters: Omniglot) -> None:
    turned, plain = (Letters(letters.train, 3, 1, 1, is_turned=is_turned) for is_turned in (True, False))
    assert len(turned.pictures) == 4 * len(plain.pictures) == 36
    assert torch.equal(turned.pictures[9:18], plain.pictures.rot90(1, (2, 3)))


def test_tasks_of_the_test_have_no_letter_of_the_training(letters: Omniglot) -> None:
    """Whatever of it is turned: every drawing of a test task is compared with every one that training can draw."""
    train = Letters(letters.train, 5, 1, 1, is_turned=True)
    known = {one.tobytes() for one in train.pictures.numpy().reshape(-1, 28, 28)}
    for part in (letters.validation, letters.test):
        tasks = Letters(part, 4, 2, 3).draw(np.random.default_rng(1), 10)
        seen = torch.cat([tasks.x, tasks.queries], 1).flatten(0, 2)
        assert not {(one * 255).round().to(torch.uint8).numpy().tobytes() for one in seen} & known


def test_the_same_source_draws_the_same_also_when_letters_vary(letters: Omniglot) -> None:
    varied = Letters(letters.train, 3, 1, 2, is_turned=True, is_varied=True)
    one, other = (varied.draw(np.random.default_rng(4), 3) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
    plain = Letters(letters.train, 3, 1, 2, is_turned=True).draw(np.random.default_rng(4), 3)
    assert not torch.equal(plain.x, one.x)
    assert float(one.x.min()) >= 0 and float(one.x.max()) <= 1.0001


def test_too_much_is_refused() -> None:
    with pytest.raises(ValueError, match="tasks of 7 ways"):
        Letters(numbered(4, 2), 7, 1, 1)
    with pytest.raises(ValueError, match="tasks of 5 ways"):
        Letters(numbered(4, 2), 5, 1, 1, is_within=True)
    with pytest.raises(ValueError, match=r"20 drawings, fewer than 10 \+ 15"):
        Letters(numbered(4), 2, 10, 15)


def test_points_are_parted_into_examples_and_queries() -> None:
    tasks = Points(5, 3, 4).draw(np.random.default_rng(0), 10)
    assert (tasks.x.shape, tasks.queries.shape) == ((10, 3, 1), (10, 4, 1))
    assert (tasks.y.shape, tasks.wanted.shape) == ((10, 3, 1), (10, 4, 1))
    assert tasks.classes.flatten().bincount().tolist() == [2] * 5
