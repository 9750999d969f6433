"""Faults to put into normal readings where nobody knows real ones: so that detectors can be compared on any history."""

from __future__ import annotations

import numpy as np

from .base import Steps
from .scale import Values

KINDS = ("spike", "shift", "drift", "noise", "stuck", "dip")
_LENGTHS = {"spike": 2, "shift": 20, "drift": 40, "noise": 20, "stuck": 30, "dip": 8}  # steps
_SIZE = 3.0  # of a fault, in scaled units: what is usual is about 1
_SHARE = 0.12  # of the steps that may be faulty


def injected(scaled: Values, is_normal: Steps, seed: int) -> tuple[Values, Steps]:
    """A copy of [T, F] with faults in one or some of the sensors, apart from each other, and where they are."""
    source = np.random.default_rng((seed, 4))
    values, truth = scaled.copy(), np.zeros(len(scaled), bool)
    room = max(len(KINDS), int(_SHARE * len(scaled) / (sum(_LENGTHS.values()) / len(KINDS))))
    kinds = [KINDS[number % len(KINDS)] for number in range(min(room, 60))]
    for kind in kinds:
        length = min(_LENGTHS[kind], len(scaled) // (4 * len(KINDS)))
        begin = _place(truth, is_normal, length, source)
        if length < 1 or begin is None:
            continue
        part = slice(begin, begin + length)
        some = source.permutation(scaled.shape[1])[: source.integers(1, max(2, scaled.shape[1] // 2) + 1)]
        for sensor in some[: scaled.shape[1]]:
            values[part, sensor] = _faulty(kind, scaled[part, sensor], source)
        truth[part] = True
    return values, truth


def _place(truth: Steps, is_normal: Steps, length: int, source: np.random.Generator) -> int | None:
    """Where a fault of this length may begin: among normal steps, at least its length from another."""
    for _ in range(50):
        begin = int(source.integers(length, max(length + 1, len(truth) - 2 * length)))
        around = slice(begin - length, begin + 2 * length)
        if not truth[around].any() and is_normal[around].all():
            return begin
    return None


def _faulty(kind: str, part: np.ndarray, source: np.random.Generator) -> np.ndarray:
    sign, time = source.choice([-1, 1]), np.linspace(0, 1, len(part))
    if kind == "spike":
        return part + sign * 1.5 * _SIZE
    if kind == "shift":
        return part + sign * _SIZE / 2
    if kind == "drift":
        return part + sign * _SIZE * time
    if kind == "noise":
        return part + source.normal(0, _SIZE / 2, len(part))
    if kind == "stuck":
        return np.full(len(part), part[np.isfinite(part)][0] if np.isfinite(part).any() else 0.0)
    return part - _SIZE * np.sin(np.pi * time)
