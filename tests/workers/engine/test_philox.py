"""Against numpy's Philox4x64 nothing can be compared; the published test vectors can."""

from __future__ import annotations

import numpy as np

from workers.engine import philox


def words(seed, position):
    return [int(word[0]) for word in philox.philox(np.array([seed], np.uint64), np.array([position], np.uint64))]


def test_the_known_answer_of_random123():
    assert words(0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_numbers_are_uniform_and_differ_by_seed_and_position():
    positions = np.arange(20000, dtype=np.uint64)
    one = philox.uniform(np.full(20000, 7, np.uint64), positions)
    other = philox.uniform(np.full(20000, 8, np.uint64), positions)

    assert one.min() >= 0
    assert one.max() < 1
    assert abs(one.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
    assert len(np.unique(one)) == 20000


def test_a_number_does_not_depend_on_its_neighbours():
    alone = philox.uniform(np.array([7], np.uint64), np.array([5], np.uint64))
    among = philox.uniform(np.array([1, 7, 9], np.uint64), np.array([4, 5, 6], np.uint64))

    assert alone[0] == among[1]
