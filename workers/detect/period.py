"""How long it takes a series to do the same again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ALIKE = 0.3  # least correlation with what was a period ago
_LEAST = 4  # steps


def period_of(values: NDArray[np.floating], most: int = 0) -> int:
    """Steps of the strongest period of values [T] or [T, sensors]; 0 when there is none. At least two of them, and
    none longer than `most`."""
    rows = values[:, None] if values.ndim == 1 else values
    found = [_correlation(column) for column in rows.T if np.isfinite(column).sum() > 2 * _LEAST]
    if not found:
        return 0
    correlation = np.mean(found, 0)[: min(most or len(rows), len(rows) // 2) + 1]
    if len(correlation) <= _LEAST + 1:
        return 0
    inner = correlation[1:-1]
    is_peak = (inner > correlation[:-2]) & (inner >= correlation[2:]) & (inner > _ALIKE)
    is_peak[: _LEAST - 1] = False
    # What is alike because it changes slowly has no dip before it.
    peaks = [place + 1 for place in np.flatnonzero(is_peak) if correlation[: place + 1].min() < inner[place] - 0.1]
    if not peaks:
        return 0
    highest = max(correlation[place] for place in peaks)
    return int(next(place for place in peaks if correlation[place] > 0.9 * highest))


def _correlation(column: NDArray[np.floating]) -> NDArray[np.float64]:
    """Autocorrelation at lags 0.. without the trend; missing readings lie on it."""
    column = column.astype(np.float64)
    time, is_known = np.arange(len(column)), np.isfinite(column)
    slope, begin = np.polyfit(time[is_known], column[is_known], 1)
    rest = np.where(is_known, column - slope * time - begin, 0.0)
    size = 1 << (2 * len(rest) - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(rest, size)) ** 2
    raw = np.fft.irfft(spectrum, size)[: len(rest)]
    pairs = np.arange(len(rest), 0, -1)
    return raw / pairs / max(raw[0] / len(rest), 1e-12)
