"""Windows of a sensor as few-shot-classification reads them: {"windows": [[8 to 512 numbers]]}.

A window is made of one length and told by its shape, around 0 with a deviation of 1. Its level and its spread, which
may be all that tells classes apart, stand behind it as two numbers. What is constant has a shape of zeros.

Letters: B rows of a batch, T values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.few_shot import LARGEST, LEAST_VALUES, MOST_VALUES, WINDOWS
from contracts.messages import ErrorType, InferenceRequest, RevisionSpec
from workers.backends.encoder import Feeds
from workers.engine.encoder import Prepared
from workers.engine.intake import Refused

from .manifest import require
from .prototypes import Array

_FLAT = 1e-9  # a deviation below this share of the level is rounding
_LEAST = 1e-12  # a spread that is told


class WindowReader:
    max_length = 1  # windows all cost the same

    def __init__(self, artifact: Path, spec: RevisionSpec, manifest: dict[str, Any]) -> None:
        require(manifest, "length")
        self._length: int = manifest["length"]

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        windows = request.inputs.get(WINDOWS)
        if not isinstance(windows, list) or not windows:
            raise _refused("must be a list of lists of numbers")
        return [Prepared(read(_numbers(one), self._length), 1, 0) for one in windows]

    def feeds(self, payloads: Sequence[Array]) -> Feeds:
        return {"windows": np.stack(payloads)}

    def probe(self, length: int) -> Array:
        return read(np.arange(self._length, dtype=np.float64), self._length)


def read(values: NDArray[np.float64], length: int) -> Array:
    """[T + 2]: the shape, the level as its inverse hyperbolic sine, and the logarithm of the spread."""
    level, spread = float(values.mean()), float(values.std())
    shape = resampled(values, length)
    shape -= shape.mean()
    deviation = float(shape.std())
    is_flat = deviation <= _FLAT * max(abs(level), _LEAST)
    shape = np.zeros(length) if is_flat else shape / deviation
    return np.append(shape, [math.asinh(level), math.log(max(spread, _LEAST))]).astype(np.float32)


def resampled(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Longer by straight lines between values, shorter by the means of equal parts."""
    count = len(values)
    if count <= length:
        return np.interp(np.linspace(0, count - 1, length), np.arange(count), values)
    sums = np.concatenate([[0.0], values.cumsum()])
    return np.diff(np.interp(np.linspace(0, count, length + 1), np.arange(count + 1), sums)) * (length / count)


def _numbers(said: Any) -> NDArray[np.float64]:
    """Raises Refused."""
    if not isinstance(said, list) or not LEAST_VALUES <= len(said) <= MOST_VALUES:
        raise _refused(f"each must be a list of {LEAST_VALUES} to {MOST_VALUES} numbers")
    if not all(type(one) in (int, float) and abs(one) <= LARGEST for one in said):
        raise _refused(f"must be numbers between -{LARGEST:g} and {LARGEST:g}")
    return np.array(said, np.float64)


def _refused(reason: str) -> Refused:
    return Refused(ErrorType.INVALID_REQUEST, f"{WINDOWS}: {reason}", param=WINDOWS)
