from __future__ import annotations

import ctypes

import numpy as np
import pytest

from workers.backends.memory import HostMemory

SHAPE = (4, 3, 2, 8, 5)  # arrays, slots, heads, length, width


@pytest.fixture
def memory():
    memory = HostMemory(SHAPE, np.dtype(np.float32))
    memory._block[:] = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    return memory


def row(memory, slot, length):
    return memory._block[:, slot, :, :length].copy()


def test_pointers_lead_to_the_rows(memory):
    for array, slot in ((0, 0), (3, 2), (1, 1)):
        found = ctypes.cast(memory.pointer(array, slot), ctypes.POINTER(ctypes.c_float))[0]
        assert found == memory._block[array, slot, 0, 0, 0]


def test_rows_are_whole_and_in_order(memory):
    size = 2 * 8 * 5 * 4
    assert memory.pointer(1, 1) - memory.pointer(1, 0) == size
    assert memory.pointer(1, 0) - memory.pointer(0, 0) == 3 * size


def test_copy_touches_the_prefix_only(memory):
    source, rest = row(memory, 0, 3), memory._block[:, 2, :, 3:].copy()

    memory.copy(0, 2, 3)

    assert (row(memory, 2, 3) == source).all()
    assert (memory._block[:, 2, :, 3:] == rest).all()


@pytest.mark.parametrize("lengths", [(3, 5), (5, 3), (0, 4), (4, 0), (0, 0)])
def test_swap_exchanges_what_is_in_use(memory, lengths):
    first, second = row(memory, 0, lengths[0]), row(memory, 1, lengths[1])

    memory.swap(0, 1, *lengths)

    assert (row(memory, 1, lengths[0]) == first).all()
    assert (row(memory, 0, lengths[1]) == second).all()
