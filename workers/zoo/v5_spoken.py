"""Spoken clips as a base of V5: the shape of a word in cepstra, which nobody has trained.

- Davis and Mermelstein 1980: cosines over mel bands (cepstra) tell one word from another in few numbers.
- Viikki and Laurila 1998: each coefficient around its own mean with a deviation of 1 says less of the voice and of the
  microphone.

What that takes away is given back as two vectors a clip, mean and logarithm of the deviation of each coefficient: with
five examples they tell words apart, too, also those of another voice (benchmarks/v5_spoken.py).

Letters: N clips, T frames, B mel bands, C coefficients, P parts of a clip, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .v5_meta_lora import Base

FRAMES, BANDS = 40, 32  # T and B, as workers/pipelines/clips.py makes them
_COEFFICIENTS = 13  # C; the first is loudness
_PARTS = 10  # P
_LEAST = 0.3  # of a deviation: what hardly moves is not made large
_MEANS, _DEVIATIONS = 0.8, 6.0  # what they count beside the shape


class Spoken(Base):
    """Without adapters: there are no layers whose weights were learned."""

    cosines: Tensor

    def __init__(self) -> None:
        super().__init__([], 0, (FRAMES, BANDS), _COEFFICIENTS * (_PARTS + 2) - 1)
        self.register_buffer("cosines", cosines(BANDS, _COEFFICIENTS))

    def forward(self, clips: Tensor, s: Tensor | None = None) -> Tensor:
        """[N, T, B], logarithms of power, to [N, D]. There are no strengths."""
        cepstra = clips @ self.cosines  # (N, T, C)
        means = cepstra.mean(1, keepdim=True)
        around = cepstra - means
        deviations = around.square().mean(1, keepdim=True).sqrt()  # (N, 1, C)
        shape = around / (deviations + _LEAST)
        parts = shape.unflatten(1, (_PARTS, FRAMES // _PARTS)).mean(2)  # (N, P, C)
        # How loud all of it is says nothing, how much the loudness moves does.
        beside = [_MEANS * means.flatten(1)[:, 1:], _DEVIATIONS * (deviations.flatten(1) + _LEAST).log()]
        return torch.cat([parts.flatten(1), *beside], -1)

    @property
    def shape(self) -> int:
        """How many of the features tell the shape alone; they come first."""
        return _PARTS * _COEFFICIENTS


def cosines(bands: int, count: int) -> Tensor:
    """[B, C], orthogonal with a length of 1: the first of a discrete cosine transform."""
    places = (torch.arange(bands) + 0.5)[:, None]
    found = math.sqrt(2 / bands) * (torch.pi * places * torch.arange(count) / bands).cos()
    found[:, 0] /= math.sqrt(2)
    return found
