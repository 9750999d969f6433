"""What stands out of its spectrum (Ren et al. 2019, Time-Series Anomaly Detection at Microsoft, arXiv:1906.03821).

The window ends with the step to judge and is prolonged by the slope of the last steps, as in the paper.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .base import Arrays, Scored, Steps, Windowed, is_ready, windows
from .scale import Values

_WINDOW, _AHEAD, _SLOPE = 123, 5, 5  # steps; 128 together
_SMOOTH = 3  # numbers of the spectrum that are averaged
_LEAST = 1e-6


class SpectralResidual(Windowed):
    """Nothing is learned; each sensor is looked at by itself."""

    name: ClassVar[str] = "spectral_residual"

    def __init__(self, sensors: int) -> None:
        self.sensors, self.context = sensors, _WINDOW - 1

    @classmethod
    def fit(cls, values: Values, is_normal: Steps, seed: int) -> Self:
        return cls(values.shape[1])

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        return cls(int(arrays["sensors"]))

    def arrays(self) -> Arrays:
        return {"sensors": np.array(self.sensors)}

    def scored(self, rows: Values, seen: Steps, first: int) -> Scored:
        shown = windows(rows, _WINDOW)
        shares = np.stack([saliency(shown[..., sensor]) for sensor in range(self.sensors)], -1)
        return Scored(np.where(is_ready(seen, _WINDOW), shares.max(1), np.nan), shares, None)


def saliency(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N] of windows [N, _WINDOW]: how many times the last step's saliency is above that of those before."""
    calm = rows[:, -_SLOPE - 2 : -1]  # without the step to judge, which would prolong itself
    slopes = (calm[:, -1:] - calm[:, :-1]) / np.arange(_SLOPE, 0, -1)
    ahead = calm[:, 1:2] + slopes.sum(1, keepdims=True)
    longer = np.concatenate([rows, np.repeat(ahead, _AHEAD, 1)], 1)
    spectrum = np.fft.fft(longer, axis=1)
    size = np.abs(spectrum)
    log = np.log(np.maximum(size, _LEAST))
    residual = np.exp(log - _average(log, _SMOOTH))
    found = np.abs(np.fft.ifft(spectrum / np.maximum(size, _LEAST) * residual, axis=1))
    before = found[:, : _WINDOW - 1].mean(1)
    return np.maximum(found[:, _WINDOW - 1] - before, 0) / np.maximum(before, 1e-3)


def _average(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Of each number and those beside it, around the end."""
    found: NDArray[np.float64] = sum(np.roll(rows, shift, 1) for shift in range(-(count // 2), count // 2 + 1)) / count
    return found
