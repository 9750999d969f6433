"""A detector with everything around it: scale, steps, calibration. What an artifact holds and a worker asks.

Files: detector.npz has the arrays of the detector and of the scale, without pickled objects; the manifest has the rest
under `detector`. V4 has its graph beside.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.anomaly import ScoreItem, ScoreResult
from contracts.conformal import Calibration, calibrated

from .base import Arrays, Detector, Steps
from .grid import Grid
from .isolation_forest import IsolationForest
from .matrix_profile import MatrixProfile
from .pca import PCA, SubsequencePCA
from .rarity import Rarity
from .scale import Scale, Values
from .seasonal import Seasonal
from .spectral_residual import SpectralResidual
from .v4 import V4, Graph, Sizes

SIMPLE: dict[str, type[Any]] = {
    one.name: one for one in (PCA, SubsequencePCA, IsolationForest, SpectralResidual, MatrixProfile, Seasonal, Rarity)
}
ARRAYS = "detector.npz"
_UNIT = 99  # percentile of the calibration's scores that is 1
_BAND = 95  # per cent of normal readings within the band
_CHUNK = 4096  # steps of a history at a time: bounds memory


class BadItem(ValueError):
    """What is wrong with an item, in one sentence."""


@dataclass(slots=True, eq=False)
class Track:
    """What a whole history gets. Raw scores until `calibrate`."""

    scores: NDArray[np.float64]  # [T]
    expected: Values | None  # [T, F] in the sensors' units


@dataclass(slots=True, eq=False)
class Fitted:
    """`origin` is the number of the history's first step; `unit` the raw score that is told as 1."""

    detector: Detector
    scale: Scale
    interval: float
    origin: int
    sensors: int
    unit: float = 1.0
    spread: NDArray[np.float64] | None = None  # [F] of the band, in the sensors' units

    @property
    def context(self) -> int:
        return self.detector.context + 1

    def track(self, values: Values) -> Track:
        """Of a history [T, F] that begins at `origin`."""
        state, scores, expected = self.detector.begin(), [], []
        for begin in range(0, len(values), _CHUNK):
            scaled = self.scale.apply(values[begin : begin + _CHUNK])
            found, state = self.detector.score(scaled, state, begin)
            scores.append(found.scores)
            if found.expected is not None:
                expected.append(self.scale.undo(found.expected))
        return Track(np.concatenate(scores), np.concatenate(expected) if expected else None)

    def calibrate(self, track: Track, values: Values, is_normal: Steps) -> Calibration:
        """Sets the unit and the band by these normal steps; their scores in it."""
        normal = track.scores[is_normal & np.isfinite(track.scores)]
        self.unit = max(float(np.percentile(normal, _UNIT)), 1e-9) if len(normal) else 1.0
        if track.expected is not None:
            off = np.abs(values - track.expected)[is_normal]
            self.spread = np.array([_quantile(column) for column in off.T])
        told = np.where(is_normal, track.scores / self.unit, np.nan)
        return calibrated([_told(score) for score in told], self.interval)

    def arrays(self) -> Arrays:
        own = {f"detector.{name}": value for name, value in self.detector.arrays().items()}
        return {"scale.middle": self.scale.middle, "scale.width": self.scale.width, **own}

    def values(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "name": self.detector.name, "interval": self.interval, "origin": self.origin, "sensors": self.sensors,
            "unit": self.unit, "spread": None if self.spread is None else self.spread.tolist(),
            "context": self.context,
        }  # fmt: skip

    # -- new readings ----------------------------------------------------------------------------

    def respond(self, item: ScoreItem) -> ScoreResult:
        """Raises BadItem."""
        times, values = self._rows(item)
        grid, state, expects = self._remembered(item.state)
        steps, rows = grid.put(times, values, item.until)
        found = []
        for first, part in _runs(steps, rows):
            if first != expects:  # the gap is so long that nothing before it counts
                state = self.detector.begin()
            scored, state = self.detector.score(self.scale.apply(part), state, first - self.origin)
            found.append(scored)
            expects = first + len(part)
        told = ScoreResult(state=_packed(grid, state, expects), late=grid.late)
        return self._told(told, steps, rows, found, item) if found else told

    def _rows(self, item: ScoreItem) -> tuple[NDArray[np.float64], Values]:
        try:
            times = np.array(item.times, np.float64)
            values = np.array(item.values, np.float64).reshape(len(times), self.sensors)
        except (TypeError, ValueError):
            raise BadItem(f"The readings are not rows of {self.sensors} numbers, one for each time.") from None
        if not np.isfinite(times).all():
            raise BadItem("A time is not a finite number.")
        return times, np.where(np.isfinite(values), values, np.nan)

    def _remembered(self, text: str) -> tuple[Grid, NDArray[np.float32], int]:
        size = len(self.detector.begin())
        if not text:
            return Grid(self.interval, self.sensors), self.detector.begin(), -1
        try:
            raw = base64.b64decode(text, validate=True)
            head = np.frombuffer(raw, np.float64, 2 + self.sensors)
            state = np.frombuffer(raw[head.nbytes :], np.float32)
        except ValueError:
            raise BadItem("The state is not one that this detector gave.") from None
        if len(state) != size:
            raise BadItem("The state is not one that this detector gave.")
        return Grid(self.interval, self.sensors, int(head[0]), head[2:].copy()), state.copy(), int(head[1])

    def _told(self, told: ScoreResult, steps: NDArray[np.int64], rows: Values, found: list[Any], item: ScoreItem
              ) -> ScoreResult:  # fmt: skip
        times = steps * self.interval
        is_asked = times >= item.from_time
        scores = np.concatenate([one.scores for one in found])[is_asked] / self.unit
        shares = np.concatenate([one.shares for one in found])[is_asked]
        expected = None
        if found[0].expected is not None:
            expected = _lists(self.scale.undo(np.concatenate([one.expected for one in found])[is_asked]))
        above = item.explain_above
        return ScoreResult(
            times[is_asked].tolist(), _lists(rows[is_asked]), [_told(score) for score in scores], expected,
            None if self.spread is None else self.spread.tolist(),
            [_parts(row) if above is not None and score > above else None
             for score, row in zip(scores, shares, strict=True)],
            told.state, told.late,
        )  # fmt: skip


def save(fitted: Fitted, folder: Path) -> None:
    np.savez(folder / ARRAYS, **fitted.arrays())  # type: ignore[arg-type]


def load(folder: Path, manifest: dict[str, Any], graph: Callable[[Path], Graph]) -> Fitted:
    """`graph` opens the one of V4. Raises BadItem when the folder is not what its manifest says."""
    about = manifest["detector"]
    with np.load(folder / ARRAYS, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    own = {name.removeprefix("detector."): value for name, value in arrays.items() if name.startswith("detector.")}
    if about["name"] == V4.name:
        detector: Detector = V4.of(own, sizes_of(manifest), graph(folder / manifest["model"]))
    elif about["name"] in SIMPLE:
        detector = SIMPLE[about["name"]].of(own)
    else:
        raise BadItem(f"This release knows no detector {about['name']}.")
    spread = None if about["spread"] is None else np.array(about["spread"])
    scale = Scale(arrays["scale.middle"], arrays["scale.width"])
    return Fitted(detector, scale, about["interval"], about["origin"], about["sensors"], about["unit"], spread)


def sizes_of(manifest: dict[str, Any]) -> Sizes:
    return Sizes(*(manifest["graph"][name] for name in Sizes._fields))


def _runs(steps: NDArray[np.int64], rows: Values) -> list[tuple[int, Values]]:
    """Steps that follow each other, with the number of the first."""
    if not len(steps):
        return []
    cuts = np.flatnonzero(np.diff(steps) != 1) + 1
    return [(int(part[0]), some) for part, some in zip(np.split(steps, cuts), np.split(rows, cuts), strict=True)]


def _packed(grid: Grid, state: NDArray[np.float32], expects: int) -> str:
    head = np.concatenate([[float(grid.next), float(expects)], grid.open])
    return base64.b64encode(head.tobytes() + state.astype(np.float32).tobytes()).decode()


def _told(score: float) -> float | None:
    return float(score) if np.isfinite(score) else None


def _lists(rows: Values) -> list[list[float | None]]:
    return [[_told(value) for value in row] for row in rows]


def _parts(row: NDArray[np.float64]) -> list[float]:
    whole = row.sum()
    return [float(part / whole) for part in row] if whole > 0 else [1 / len(row)] * len(row)


def _quantile(column: NDArray[np.float64]) -> float:
    known = column[np.isfinite(column)]
    return float(np.percentile(known, _BAND)) if len(known) else 0.0
