"""How few cuts by chance it takes to have a step alone (Liu, Ting and Zhou 2008, Isolation Forest).

Each sensor gives a step four numbers: its value, how it moved, and mean and spread of the last steps. Trees are arrays,
so nothing has to be unpickled; what they say is compared with scikit-learn's in the tests.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .base import Arrays, CannotFit, Scored, Steps, Windowed, filled, is_ready, some, whole, windows
from .scale import Values

_TREES, _SAMPLE, _MOST_ROWS = 100, 256, 20_000
_BACK = 8  # steps
_FEATURES = 4  # of a sensor
_STRANGE = 0.5  # of scores between 0 and 1: below, nobody asks what it is made of
_EULER = 0.5772156649015329


class IsolationForest(Windowed):
    name: ClassVar[str] = "isolation_forest"

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays
        self.context, self.sensors = _BACK, int(arrays["sensors"])

    @classmethod
    def fit(cls, values: Values, is_normal: Steps, seed: int) -> Self:
        rows = features(filled(values))[whole(is_normal, _BACK + 1)]
        if len(rows) < 32:
            raise CannotFit(f"The history has {len(rows)} normal steps, too few to learn from.")
        rows = rows[some(len(rows), _MOST_ROWS, seed)]
        return cls({**grown(rows, seed), "sensors": np.array(values.shape[1]), "middle": np.median(rows, 0)})

    @classmethod
    def of(cls, arrays: Arrays) -> Self:
        return cls(arrays)

    def arrays(self) -> Arrays:
        return self._arrays

    def scored(self, rows: Values, seen: Steps, first: int) -> Scored:
        shown = features(rows)
        scores = anomaly(self._arrays, shown)
        shares, high = np.zeros((len(shown), self.sensors)), scores > _STRANGE
        for sensor in range(self.sensors if high.any() else 0):  # how much less strange with this one as usual
            calm, own = shown[high], slice(sensor * _FEATURES, (sensor + 1) * _FEATURES)
            calm[:, own] = self._arrays["middle"][own]
            shares[high, sensor] = np.maximum(scores[high] - anomaly(self._arrays, calm), 0)
        return Scored(np.where(is_ready(seen, _BACK + 1), scores, np.nan), shares, None)


def features(rows: Values) -> NDArray[np.float64]:
    """[N, 4 F] of [C + N, F]"""
    seen = windows(rows, _BACK + 1)
    found = [seen[:, -1], seen[:, -1] - seen[:, -2], seen.mean(1), seen.std(1)]
    return np.stack(found, -1).reshape(len(seen), -1)


def grown(rows: NDArray[np.float64], seed: int) -> Arrays:
    """Trees [trees, nodes]: the number to look at (-1 at a leaf), where to cut, the two nodes below, and how many cuts
    a leaf stands for."""
    source = np.random.default_rng(seed)
    size = min(_SAMPLE, len(rows))
    deepest = int(np.ceil(np.log2(size)))
    trees = [_tree(rows[source.choice(len(rows), size, replace=False)], deepest, source) for _ in range(_TREES)]
    most = max(len(tree) for tree in trees)
    table = np.zeros((_TREES, most, 5))
    table[..., 0] = -1
    for place, tree in enumerate(trees):
        table[place, : len(tree)] = tree
    return {
        "feature": table[..., 0].astype(np.int32), "cut": table[..., 1],
        "below": table[..., 2:4].astype(np.int32), "depth": table[..., 4], "usual": np.array(_usual_depth(size)),
    }  # fmt: skip


def _tree(rows: NDArray[np.float64], deepest: int, source: np.random.Generator) -> list[list[float]]:
    nodes: list[list[float]] = []

    def grow(some_rows: NDArray[np.float64], depth: int) -> int:
        place = len(nodes)
        nodes.append([-1, 0.0, 0, 0, depth + _usual_depth(len(some_rows))])
        low, high = some_rows.min(0), some_rows.max(0)
        choices = np.flatnonzero(high > low)
        if depth >= deepest or len(some_rows) < 2 or not len(choices):
            return place
        feature = int(source.choice(choices))
        # Rounding may give the end of the interval, behind which there is nothing.
        cut = min(float(source.uniform(low[feature], high[feature])), float(np.nextafter(high[feature], -np.inf)))
        is_left = some_rows[:, feature] <= cut
        left, right = grow(some_rows[is_left], depth + 1), grow(some_rows[~is_left], depth + 1)
        nodes[place] = [feature, cut, left, right, 0.0]
        return place

    grow(rows, 0)
    return nodes


def anomaly(trees: Arrays, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N] between 0 and 1: 2^(-mean depth / usual depth)."""
    feature, cut, below = trees["feature"], trees["cut"], trees["below"]
    tree = np.arange(len(feature))[:, None]  # (trees, 1)
    node = np.zeros((len(feature), len(rows)), np.int64)
    row = np.arange(len(rows))
    while True:
        asked = feature[tree, node]
        is_inner = asked >= 0
        if not is_inner.any():
            break
        is_right = rows[row, np.maximum(asked, 0)] > cut[tree, node]
        node = np.where(is_inner, below[tree, node, is_right.astype(np.int64)], node)
    found: NDArray[np.float64] = 2 ** (-trees["depth"][tree, node].mean(0) / float(trees["usual"]))
    return found


def _usual_depth(count: int) -> float:
    """Cuts that an unsuccessful search in a tree of so many takes."""
    if count <= 1:
        return 0.0
    return 1.0 if count == 2 else 2 * (np.log(count - 1) + _EULER) - 2 * (count - 1) / count
