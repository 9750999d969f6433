"""Series as batches: windows of one length, drawn anew in every step, with what is missing said to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.data.series import Series
from workers.detect.period import period_of

_HOLES = 0.3  # share of the varied windows in which something is missing


@dataclass(frozen=True, slots=True)
class Batch:
    readings: Tensor  # [B, T, F], 0 where there is none
    seen: Tensor  # [B, T, F]
    period: Tensor  # [B] in tokens, 0 where there is none


class Windows:
    """`length` is in tokens of `stride` readings. Longer series are drawn more often. What is `varied` is stretched,
    mirrored, raised, and missing in parts by chance: for few series that shall teach what is true of many."""

    def __init__(self, series: Sequence[Series], length: int, stride: int, *, is_varied: bool = False) -> None:
        self.series = [one for one in series if len(one.values) >= stride]
        self.readings, self.stride, self.is_varied = length * stride, stride, is_varied
        sizes = np.array([max(1, len(one.values) - self.readings + 1) for one in self.series], float)
        # A long series has more to show, but not by its length: neighbouring windows say much the same.
        self._chances = np.sqrt(sizes) / np.sqrt(sizes).sum()
        self._periods = [period_of(one.values, self.readings) for one in self.series]

    def __len__(self) -> int:
        return len(self.series)

    def batch_of_step(self, step: int, size: int, seed: int) -> Batch:
        """What the step sees follows from the seed and its number."""
        source = np.random.default_rng((seed, step))
        chosen = source.choice(len(self.series), size, p=self._chances)
        drawn = [self._window(self.series[place].values, source) for place in chosen]
        values = np.stack([window for window, _ in drawn])
        stretched = np.array([stretch for _, stretch in drawn])
        period = np.array([self._periods[place] for place in chosen]) * stretched / self.stride
        is_seen = np.isfinite(values)
        return Batch(
            torch.from_numpy(np.where(is_seen, values, 0).astype(np.float32)),
            torch.from_numpy(is_seen.astype(np.float32)),
            torch.from_numpy(np.round(period).astype(np.int64)),
        )

    def _window(self, values: NDArray[np.float32], source: np.random.Generator) -> tuple[NDArray[np.float32], float]:
        """[T, F], and how many times as long everything in it is."""
        stretch = float(np.exp(source.uniform(-0.6, 0.6))) if self.is_varied else 1.0
        taken = max(2, round(self.readings / stretch))
        begin = source.integers(max(1, len(values) - taken + 1))
        part = values[begin : begin + taken]
        if self.is_varied:
            part = _varied(_stretched(part, stretch), source)
        part = part[: self.readings]
        before = np.full((self.readings - len(part), values.shape[1]), np.nan, np.float32)
        return np.concatenate([before, part]), stretch


def _stretched(part: NDArray[np.float32], stretch: float) -> NDArray[np.float32]:
    """Along a line between neighbours; a reading next to a missing one is missing."""
    places = np.arange(0, len(part) - 1, 1 / stretch)
    left, share = places.astype(int), (places % 1).astype(np.float32)[:, None]
    right = np.minimum(left + 1, len(part) - 1)
    found: NDArray[np.float32] = part[left] * (1 - share) + part[right] * share
    return found


def _varied(part: NDArray[np.float32], source: np.random.Generator) -> NDArray[np.float32]:
    gain = np.exp(source.normal(0, 0.3)) * source.choice([-1, 1])
    part = (part * gain + source.normal(0, 0.3)).astype(np.float32)
    if source.random() < _HOLES and len(part) > 8:
        length = source.integers(1, len(part) // 4)
        begin = source.integers(len(part) - length)
        part[begin : begin + length] = np.nan
    return part
