"""Tasks of regression in several modes: each task is one curve, and a mode is a family of curves (Vuorio et al. 2019,
Multimodal Model-Agnostic Meta-Learning via Task-Aware Modulation, arXiv:1910.13616).

Generated, with the families, ranges and noise of the authors' own code (vuoristo/MMAML-Regression). Both the points to
learn from and those to be judged by are noisy, so a perfect answer still has an error of NOISE squared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SOURCE, LICENCE = "generated (workers/data/curves.py)", "Apache-2.0"
REACH = 5.0  # x lies between -REACH and REACH
NOISE = 0.3  # deviation of what is added to y

Values = NDArray[np.float32]
Curve = Callable[[Values], Values]
Source = np.random.Generator


def _sinusoid(source: Source) -> Curve:
    height, shift = source.uniform(0.1, 5), source.uniform(0, np.pi)
    return lambda x: height * np.sin(x - shift)


def _line(source: Source) -> Curve:
    slope, shift = source.uniform(-3, 3, 2)
    return lambda x: slope * x + shift


def _quadratic(source: Source) -> Curve:
    centre, shift = source.uniform(-3, 3, 2)
    bend = source.choice((-1, 1)) * source.uniform(0.02, 0.15)
    return lambda x: bend * (x - centre) ** 2 + shift


def _tanh(source: Source) -> Curve:
    height, centre, shift = source.uniform(-3, 3, 3)
    return lambda x: height * np.tanh(x - centre) + shift


def _absolute(source: Source) -> Curve:
    slope, centre, shift = source.uniform(-3, 3, 3)
    return lambda x: slope * np.abs(x - centre) + shift


FAMILIES = {"sinusoid": _sinusoid, "line": _line, "quadratic": _quadratic, "tanh": _tanh, "absolute": _absolute}
MODES = {2: ("sinusoid", "line"), 3: ("sinusoid", "line", "quadratic"), 5: tuple(FAMILIES)}


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Points of many tasks."""

    x: Values  # [tasks, points, 1]
    y: Values  # [tasks, points, 1]
    mode: NDArray[np.int64]  # [tasks], a place in MODES


def draw(source: Source, modes: int, tasks: int, points: int) -> Curves:
    """As many tasks of each mode, as far as it comes out even; x evenly by chance. Raises ValueError."""
    if modes not in MODES:
        raise ValueError(f"modes is one of {', '.join(map(str, MODES))}, not {modes}")
    mode = source.permutation(np.arange(tasks) % modes)
    x = source.uniform(-REACH, REACH, (tasks, points, 1)).astype(np.float32)
    y = np.stack([FAMILIES[MODES[modes][number]](source)(row) for number, row in zip(mode, x, strict=True)])
    return Curves(x, (y + source.normal(0, NOISE, y.shape)).astype(np.float32), mode)
