"""C-MAPSS FD001: turbofan engines run to failure, 21 sensors a cycle (Saxena et al. 2008).

Parts are made of whole engines, never of rows. Seven sensors never change in FD001 and are left out, as elsewhere.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .corpus import data_file
from .series import Series

SOURCE = "the NASA prognostics data repository, copy in alireza-javanmardi/conformal-RUL-intervals"
LICENCE = "public"
SENSORS = (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)  # as NASA counts them, from 1
HORIZON = 30  # cycles: fails within them
_FIRST_SENSOR = 5  # column


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """`left` [T] are the cycles until it fails."""

    number: int
    values: NDArray[np.float32]  # [T, sensors]
    left: NDArray[np.int64]

    @property
    def fails_soon(self) -> NDArray[np.bool_]:
        return self.left <= HORIZON

    @property
    def series(self) -> Series:
        return Series(f"engine {self.number}", self.values, group=str(self.number))


def train() -> list[Engine]:
    """The 100 engines that were run until they failed. Raises DataMissing."""
    return [Engine(number, values, np.arange(len(values))[::-1].copy()) for number, values in _read("train").items()]


def test() -> list[Engine]:
    """The 100 engines that were stopped before. Raises DataMissing."""
    left = np.loadtxt(data_file("cmapss/RUL_FD001.txt", SOURCE), dtype=np.int64)
    return [
        Engine(number, values, np.arange(len(values))[::-1] + left[number - 1])
        for number, values in _read("test").items()
    ]


def folds(engines: list[Engine], count: int, seed: int = 0) -> list[tuple[list[Engine], list[Engine]]]:
    """Those to learn from and those to judge by; each engine is judged once."""
    order = random.Random(seed).sample(engines, len(engines))
    parts = [order[place::count] for place in range(count)]
    return [([one for other in parts if other is not part for one in other], part) for part in parts]


def _read(part: str) -> dict[int, NDArray[np.float32]]:
    rows = np.loadtxt(data_file(f"cmapss/{part}_FD001.txt", SOURCE))
    columns = [_FIRST_SENSOR + sensor - 1 for sensor in SENSORS]
    numbers = rows[:, 0].astype(int)
    return {int(number): rows[numbers == number][:, columns].astype(np.float32) for number in np.unique(numbers)}
