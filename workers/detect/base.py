"""What every detector is: fitted on scaled readings, then asked step by step with a state of a fixed size.

Letters: T steps of the history, N new steps, F sensors, C steps of context.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from .scale import Values

Arrays = dict[str, NDArray[Any]]
Steps = NDArray[np.bool_]  # [T]


class CannotFit(ValueError):
    """Why this history does not do for this detector, in one sentence."""


class Scored(NamedTuple):
    """Of N steps. A score is NaN where nothing was read or too little is known yet."""

    scores: NDArray[np.float64]  # [N]
    shares: NDArray[np.float64]  # [N, F] what each sensor adds, 0 or more
    expected: Values | None  # [N, F], scaled


class Detector(Protocol):
    """Of one history. Arrays are all it is."""

    name: ClassVar[str]
    context: int  # steps that make a lost state again

    @classmethod
    def fit(cls, values: Values, is_normal: Steps, seed: int) -> Self:
        """values [T, F] scaled. Raises CannotFit."""

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        """As `arrays` gave it."""

    def arrays(self) -> Arrays: ...

    def begin(self) -> NDArray[np.float32]:
        """The state before the first step, flat."""

    def score(self, values: Values, state: NDArray[np.float32], first: int) -> tuple[Scored, NDArray[np.float32]]:
        """values [N, F] scaled, what comes after the state; the first is step `first` since the history began."""


class Windowed:
    """A detector whose score follows from the step and the C > 0 steps before it, which are its state.

    What is missing is read as the last reading there was; `seen` tells it apart.
    """

    context: int
    sensors: int

    def begin(self) -> NDArray[np.float32]:
        return np.zeros((2, self.context, self.sensors), np.float32).ravel()

    def score(self, values: Values, state: NDArray[np.float32], first: int) -> tuple[Scored, NDArray[np.float32]]:
        before, known = state.reshape(2, self.context, self.sensors)
        # What is kept is rounded, so what is new is rounded too: parts say what the whole says.
        new = values.astype(np.float32)
        before = np.where(known.any(0), before, _firsts(new))
        seen = np.concatenate([known, np.isfinite(new).astype(np.float32)])
        rows = np.concatenate([before, filled(new, before[-1])])
        found = self.scored(rows.astype(np.float64), seen > 0, first)
        scores = np.where(np.isfinite(new).any(1), found.scores, np.nan)
        end = len(rows) - self.context
        return found._replace(scores=scores), np.stack([rows[end:], seen[end:]]).ravel()

    def scored(self, rows: Values, seen: NDArray[np.bool_], first: int) -> Scored:
        """rows, seen [C + N, F]; of the last N."""
        raise NotImplementedError


def _firsts(new: NDArray[np.float32]) -> NDArray[np.float32]:
    """[F]: what a sensor says first is what it is taken to have said before; 0 when it says nothing."""
    is_there = np.isfinite(new)
    found = np.take_along_axis(new, is_there.argmax(0)[None], 0)[0] if len(new) else np.zeros(new.shape[1], np.float32)
    return np.where(is_there.any(0), found, np.float32(0))


def filled(rows: NDArray[Any], before: NDArray[Any] | float = 0.0) -> NDArray[Any]:
    """The last reading in the place of what is missing; `before` [F] where there is none."""
    places = np.where(np.isfinite(rows), np.arange(len(rows))[:, None], -1)
    last = np.maximum.accumulate(places, 0)
    found = np.take_along_axis(rows, np.maximum(last, 0), 0)
    return np.where(last >= 0, found, before)


def is_ready(seen: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """[N]: at least half of the last `length` steps have been read."""
    count = np.concatenate([[0], np.cumsum(seen.any(1))])
    found: NDArray[np.bool_] = 2 * (count[length:] - count[:-length]) >= length
    return found


def windows(rows: Values, length: int) -> NDArray[np.float64]:
    """[T - length + 1, length, F] of [T, F], without a copy."""
    view = np.lib.stride_tricks.sliding_window_view(rows, length, axis=0)  # (., F, length)
    return view.transpose(0, 2, 1)


def whole(is_normal: Steps, length: int) -> Steps:
    """[T - length + 1]: windows of normal steps only."""
    bad = np.concatenate([[0], np.cumsum(~is_normal)])
    found: Steps = bad[length:] == bad[:-length]
    return found


def some(count: int, most: int, seed: int) -> NDArray[np.int64]:
    """At most so many of 0..count - 1, in order; always the same."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def components(rows: NDArray[np.float64], share: float, most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Principal components [k, D] that explain this share of the variance of centred rows, and all variances [D]."""
    _, lengths, directions = np.linalg.svd(rows, full_matrices=False)
    variances = lengths**2 / max(1, len(rows) - 1)
    explained = np.cumsum(variances) / max(variances.sum(), 1e-12)
    count = min(int(np.searchsorted(explained, share)) + 1, most, len(variances))
    return directions[:count], variances
