"""Windows of a sensor as a base of V5: kernels that nobody has trained, and how much of a window is above their biases.

- Dempster et al. 2021, MiniROCKET, arXiv:2012.08791: the 84 kernels, their dilations, and shares of positive values.
- Vaswani et al. 2017, arXiv:1706.03762: a number as sines and cosines of several frequencies.

MiniROCKET takes its biases from the training series. Here no series are there yet when the graph is made, so biases are
quantiles of what the kernels say of windows that are drawn by chance (`drawn`), and so are the mean and the deviation
by which each share is measured. Level and spread of a window are told apart from its shape: as waves of frequencies
from coarse to fine, so that a difference counts where classes agree on it, and the mean of what means nothing is 0.

Letters: N windows, T values, C kernels, Q biases of each, W waves, D features.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional as F

from .v5_meta_lora import Base

LENGTH = 128  # T
LEVELS = 2  # numbers beside the shape: level and spread, as workers/pipelines/windows.py tells them
_TAPS = 9
_DILATIONS = (1, 2, 4, 8, 15)  # the last one reaches over the whole window
_BIASES = 2  # Q
_FREQUENCIES = (1.0, 4.0, 16.0, 64.0)
_WEIGHT = 0.05  # what a wave adds to squared distances, beside all shares together
_RAMP = 0.05  # in which a share rises from 0 to 1: a step would tell rounding
_DRAWN = 512  # windows


class Windows(Base):
    """Without adapters: there are no layers whose weights were learned."""

    kernels: Tensor
    biases: Tensor
    mean: Tensor
    deviation: Tensor
    frequencies: Tensor

    def __init__(self, seed: int = 0) -> None:
        kernels = torch.stack([_kernel(places) for places in itertools.combinations(range(_TAPS), 3)])
        shares = len(kernels) * len(_DILATIONS) * _BIASES
        waves = LEVELS * 2 * len(_FREQUENCIES)
        super().__init__([], 0, (LENGTH + LEVELS,), shares + waves)
        self.register_buffer("kernels", kernels[:, None])  # (C, 1, taps)
        self.register_buffer("frequencies", torch.tensor(_FREQUENCIES))
        windows = drawn(torch.Generator().manual_seed(seed), _DRAWN)
        biases = [_biases(self._convolved(windows, dilation)) for dilation in _DILATIONS]
        self.register_buffer("biases", torch.stack(biases))  # (dilations, C, Q)
        found = self._shares(windows)
        self.register_buffer("mean", found.mean(0))
        self.register_buffer("deviation", found.std(0).clamp(min=0.02))
        self.weight = (_WEIGHT * shares / len(_FREQUENCIES)) ** 0.5

    def forward(self, windows: Tensor, s: Tensor | None = None) -> Tensor:
        """[N, T + 2] to [N, D]: the shape around 0 with a deviation of 1, then level and spread. There are no
        strengths."""
        shape, levels = windows.split([LENGTH, LEVELS], -1)
        return torch.cat([(self._shares(shape) - self.mean) / self.deviation, self._waves(levels)], -1)

    def _shares(self, shape: Tensor) -> Tensor:
        """[N, T] to [N, dilations * C * Q]"""
        found = []
        for dilation, biases in zip(_DILATIONS, self.biases, strict=True):
            said = self._convolved(shape, dilation)[:, :, None]  # (N, C, 1, T)
            above = ((said - biases[:, :, None]) / _RAMP + 0.5).clamp(0, 1)
            found.append(above.mean(-1).flatten(1))
        return torch.cat(found, -1)

    def _convolved(self, shape: Tensor, dilation: int) -> Tensor:
        """[N, C, T]"""
        return F.conv1d(shape[:, None], self.kernels, padding=dilation * (_TAPS // 2), dilation=dilation)

    def _waves(self, levels: Tensor) -> Tensor:
        """[N, 2] to [N, W]"""
        angles = (levels[..., None] * self.frequencies).flatten(1)
        return self.weight * torch.cat([angles.sin(), angles.cos()], -1)


def drawn(generator: torch.Generator, count: int) -> Tensor:
    """[count, T]: mixtures of walks, waves, noise and steps, each around 0 with a deviation of 1."""

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    time = torch.linspace(0, 1, LENGTH)
    walks = noise(count, LENGTH).cumsum(-1)
    turns = 0.5 + 9.5 * torch.rand(count, 1, generator=generator)
    waves = (2 * torch.pi * (turns * time + torch.rand(count, 1, generator=generator))).sin()
    steps = (time > torch.rand(count, 1, generator=generator)).float()
    parts = torch.stack([walks, waves, noise(count, LENGTH), steps])  # (kinds, count, T)
    mixed = (noise(4, count, 1) ** 3 * scaled(parts)).sum(0)
    return scaled(mixed)


def scaled(values: Tensor) -> Tensor:
    """Around 0 with a deviation of 1, along the last axis."""
    return (values - values.mean(-1, keepdim=True)) / values.std(-1, keepdim=True).clamp(min=1e-6)


def _kernel(places: tuple[int, ...]) -> Tensor:
    """[taps]: -1, and 2 at three of them; the sum is 0."""
    kernel = torch.full((_TAPS,), -1.0)
    kernel[list(places)] = 2.0
    return kernel


def _biases(said: Tensor) -> Tensor:
    """[C, Q] quantiles of [N, C, T]; kernels differ in which."""
    every = said.transpose(0, 1).flatten(1)[:, ::7].contiguous()
    golden = (5**0.5 - 1) / 2
    at = ((torch.arange(len(every) * _BIASES) + 1) * golden % 1).view(len(every), _BIASES)
    rows = every.sort(-1).values
    return rows.gather(1, (at * (rows.shape[1] - 1)).long())
