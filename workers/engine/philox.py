"""Random numbers that depend on nothing but a seed and a position.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11), computed for
all rows of a batch at once. A resumed request draws the same numbers as an undisturbed one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def uniform(seeds: NDArray[np.uint64], positions: NDArray[np.uint64]) -> NDArray[np.float64]:
    """One number in [0, 1) with 53 random bits for each (seed, position); shapes [n]."""
    first, second, _, _ = philox(seeds, positions)
    bits = (first << _HALF | second) >> np.uint64(11)
    return np.asarray(bits * 2.0**-53, np.float64)


def philox(seeds: NDArray[np.uint64], positions: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], ...]:
    """The four 32-bit words of the block at counter (position, 0) under the key `seed`."""
    zero = np.zeros_like(positions)
    words = (positions & _LOW, positions >> _HALF, zero, zero)
    key = (seeds & _LOW, seeds >> _HALF)
    for _ in range(10):
        product = (words[0] * _MULTIPLIERS[0], words[2] * _MULTIPLIERS[1])
        words = (
            (product[1] >> _HALF) ^ words[1] ^ key[0],
            product[1] & _LOW,
            (product[0] >> _HALF) ^ words[3] ^ key[1],
            product[0] & _LOW,
        )
        key = ((key[0] + _WEYL[0]) & _LOW, (key[1] + _WEYL[1]) & _LOW)
    return words
