"""V4 as a detector: how surprising a token is to the contexts before it, and how far it is from normal ones.

Surprise: each of the last K contexts predicted this token; -log of how much better its prediction fits the token than
it fits those of a bank of normal ones, weighted by q, which says how far ahead that context was looking. Distance: of
the token from the normal ones (Mahalanobis), and of its readings from those that a linear map of the context before
expects. Each part is measured by its own median and 99th percentile over normal tokens.

Letters: N steps, F sensors, s steps of a token, n tokens, C width, E space, K horizons, M tokens of the bank.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .base import Arrays, CannotFit, Scored, Steps, some
from .scale import Values

Floats = NDArray[np.float32]
# readings, seen [1, T, F] and state [1, S] to tokens [1, n, E], contexts [1, n, C], weights [1, n, K], state
Graph = Callable[[Floats, Floats, Floats], list[Floats]]

_BANK = 256
_CHUNK = 256  # tokens of one call
_RIDGE = 1e-2
_SHRUNK = 0.1  # share of the covariance that is taken to be equal in all directions
_LEAST_TOKENS = 40


class Sizes(NamedTuple):
    """Of the graph, as the manifest says."""

    sensors: int
    stride: int
    horizons: int
    space: int
    width: int
    reach: int  # tokens
    state: int
    scale: float


class _Seen(NamedTuple):
    """Of n tokens."""

    readings: Floats  # [n, s, F]
    known: NDArray[np.bool_]  # [n, s, F]
    tokens: Floats  # [n, E]
    contexts: Floats  # [K + n, C], the first K of the state
    weights: Floats  # [K + n, K]


class V4:
    name: ClassVar[str] = "v4"

    def __init__(self, arrays: Arrays, sizes: Sizes, graph: Graph) -> None:
        self._arrays, self.sizes, self._graph = arrays, sizes, graph
        self.context = (sizes.reach + sizes.horizons + 1) * sizes.stride
        self._parts = _Layout(sizes)

    @classmethod
    def fit(cls, values: Values, is_normal: Steps, seed: int, heads: Arrays, sizes: Sizes, graph: Graph) -> Self:
        """`heads` are the weight and the bias of the predictions. Raises CannotFit."""
        made = cls(dict(heads), sizes, graph)
        count = len(values) // sizes.stride
        seen, _ = made._look(values[: count * sizes.stride].astype(np.float32), made._parts.begin())
        is_good = is_normal[: count * sizes.stride].reshape(count, -1).all(1) & (seen.known.mean((1, 2)) >= 0.5)
        is_good[: min(sizes.horizons, count)] = False  # nobody has predicted them
        if is_good.sum() < _LEAST_TOKENS:
            raise CannotFit(f"The history has {is_good.sum()} whole tokens of normal steps, too few to learn from.")
        made._arrays |= made._learned(seen, is_good, seed)
        parts = made._measured(seen)
        for name, part in parts.items():
            low, high = np.percentile(part[is_good], [50, 99])
            made._arrays[f"{name}_usual"] = np.array([low, max(high - low, 1e-6)])
        return made

    @classmethod
    def of(cls, arrays: Arrays, sizes: Sizes, graph: Graph) -> Self:
        return cls(arrays, sizes, graph)

    def arrays(self) -> Arrays:
        return self._arrays

    def begin(self) -> Floats:
        return self._parts.begin()

    def score(self, values: Values, state: Floats, first: int) -> tuple[Scored, Floats]:
        """Each step has the score of the newest token that was complete by then; tokens begin at multiples of s."""
        sizes, old = self.sizes, self._parts.read(state)
        # Of a fresh state the token began before anything was read.
        count = int(old["count"][0])
        none = np.full((first % sizes.stride, sizes.sensors), np.nan, np.float32)
        waiting = old["waiting"][:count] if count >= 0 else none
        rows = np.concatenate([waiting, values.astype(np.float32)])
        count = len(rows) // sizes.stride
        seen, ring = self._look(rows[: count * sizes.stride], state)
        scores, shares = self._judged(seen)
        scores = np.concatenate([old["score"], scores])
        shares = np.concatenate([old["shares"], shares])
        expected = np.concatenate([old["expected"], self._expected(seen.contexts[sizes.horizons :])])  # (1 + n, s, F)
        step = np.arange(len(waiting), len(rows))
        token = (step + 1) // sizes.stride  # complete by then
        is_read = np.isfinite(values).any(1)
        found = Scored(
            np.where(is_read, scores[token], np.nan), shares[token], expected[step // sizes.stride, step % sizes.stride]
        )
        rest = rows[count * sizes.stride :]
        new = self._parts.write(ring, rest, scores[-1:], shares[-1:], expected[-1:])
        return found, new

    def _look(self, rows: Floats, state: Floats) -> tuple[_Seen, dict[str, Floats]]:
        """Whole tokens through the graph, and what it remembers then."""
        sizes, old = self.sizes, self._parts.read(state)
        inner, found = old["inner"][None], []
        known = np.isfinite(rows)
        readings = np.where(known, rows, 0).astype(np.float32)
        for begin in range(0, len(rows), _CHUNK * sizes.stride):
            part = slice(begin, begin + _CHUNK * sizes.stride)
            *outputs, inner = self._graph(readings[None, part], known[None, part].astype(np.float32), inner)
            found.append([one[0] for one in outputs])
        empty = [np.zeros((0, size), np.float32) for size in (sizes.space, sizes.width, sizes.horizons)]
        tokens, contexts, weights = (np.concatenate([one, *parts]) for one, *parts in zip(empty, *found, strict=True))
        contexts, weights = np.concatenate([old["contexts"], contexts]), np.concatenate([old["weights"], weights])
        shape = (-1, sizes.stride, sizes.sensors)
        seen = _Seen(readings.reshape(shape), known.reshape(shape), tokens, contexts, weights)
        ring = {"inner": inner[0], "contexts": contexts[-sizes.horizons :], "weights": weights[-sizes.horizons :]}
        return seen, ring

    def _learned(self, seen: _Seen, is_good: Steps, seed: int) -> Arrays:
        tokens, good = seen.tokens.astype(np.float64), np.flatnonzero(is_good)
        mean = tokens[good].mean(0)
        covariance = np.cov(tokens[good].T)
        covariance = (1 - _SHRUNK) * covariance + _SHRUNK * np.trace(covariance) / len(mean) * np.eye(len(mean))
        before = seen.contexts[self.sizes.horizons - 1 : -1].astype(np.float64)[good]
        before = np.hstack([before, np.ones((len(before), 1))])
        wanted = seen.readings.astype(np.float64)[good].reshape(len(good), -1)
        gram = before.T @ before + _RIDGE * len(good) * np.eye(before.shape[1])
        readout = np.linalg.solve(gram, before.T @ wanted)
        rest = np.abs(wanted - before @ readout)
        return {
            "bank": tokens[good[some(len(good), _BANK, seed)]].astype(np.float32), "mean": mean,
            "precision": np.linalg.inv(covariance + 1e-9 * np.eye(len(mean))), "readout": readout,
            "width": np.maximum(1.4826 * np.median(rest, 0), 0.02).reshape(self.sizes.stride, -1),
        }  # fmt: skip

    def _judged(self, seen: _Seen) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores [n] and shares [n, F]."""
        parts = self._measured(seen)
        scores = np.zeros(len(seen.tokens))
        for name, part in parts.items():
            low, width = self._arrays[f"{name}_usual"]
            scores += np.maximum((part - low) / width, 0)
        scores[~seen.known.any((1, 2))] = np.nan
        return scores, self._off(seen)

    def _measured(self, seen: _Seen) -> dict[str, NDArray[np.float64]]:
        off = seen.tokens - self._arrays["mean"]
        distance = np.sqrt(np.einsum("ne,ef,nf->n", off, self._arrays["precision"], off))
        return {"surprise": self._surprise(seen), "distance": distance, "readings": np.sqrt(self._off(seen).mean(1))}

    def _surprise(self, seen: _Seen) -> NDArray[np.float64]:
        """[n]; 0 where nobody has predicted."""
        sizes, count = self.sizes, len(seen.tokens)
        flat = seen.contexts @ self._arrays["weight"].T + self._arrays["bias"]
        ahead = flat.reshape(len(flat), sizes.horizons, sizes.space)
        ahead /= np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-12)
        found, weight = np.zeros(count), np.zeros(count)
        for horizon in range(1, sizes.horizons + 1):
            rows = slice(sizes.horizons - horizon, sizes.horizons - horizon + count)
            guess, counts = ahead[rows, horizon - 1], seen.weights[rows, horizon - 1].astype(np.float64)
            fits = sizes.scale * (guess * seen.tokens).sum(-1)
            usual = np.log(np.exp(sizes.scale * (guess @ self._arrays["bank"].T)).mean(1))
            found += counts * (usual - fits)
            weight += counts
        return np.where(weight > 0, found / np.maximum(weight, 1e-9), 0.0)

    def _off(self, seen: _Seen) -> NDArray[np.float64]:
        """[n, F]: mean square of how far the readings are from the expected ones, in their usual widths."""
        expected = self._expected(seen.contexts[self.sizes.horizons - 1 : -1])
        off = np.square((seen.readings - expected) / self._arrays["width"]) * seen.known
        return off.sum(1) / np.maximum(seen.known.sum(1), 1)

    def _expected(self, contexts: Floats) -> NDArray[np.float64]:
        """[n, s, F] of the next token; of a context that is nothing, nothing."""
        readout = self._arrays["readout"]
        found = contexts.astype(np.float64) @ readout[:-1] + readout[-1]
        return found.reshape(len(contexts), self.sizes.stride, self.sizes.sensors)


class _Layout:
    """Names for the parts of a flat state."""

    def __init__(self, sizes: Sizes) -> None:
        self._shapes: dict[str, tuple[int, ...]] = {
            "inner": (sizes.state,), "contexts": (sizes.horizons, sizes.width),
            "weights": (sizes.horizons, sizes.horizons), "count": (1,),
            "waiting": (max(1, sizes.stride - 1), sizes.sensors), "score": (1,), "shares": (1, sizes.sensors),
            "expected": (1, sizes.stride, sizes.sensors),
        }  # fmt: skip

    def begin(self) -> Floats:
        """Nothing was read: the count of waiting steps is -1."""
        parts = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}
        parts["count"][:], parts["score"][:] = -1, np.nan
        return np.concatenate([part.ravel() for part in parts.values()])

    def read(self, state: Floats) -> dict[str, Floats]:
        found, at = {}, 0
        for name, shape in self._shapes.items():
            size = int(np.prod(shape))
            found[name] = state[at : at + size].reshape(shape)
            at += size
        return found

    def write(self, ring: dict[str, Floats], rest: Floats, *last: NDArray[np.float64]) -> Floats:
        waiting = np.zeros(self._shapes["waiting"], np.float32)
        waiting[: len(rest)] = rest
        parts = [ring["inner"], ring["contexts"], ring["weights"], np.array([len(rest)]), waiting, *last]
        return np.concatenate([part.astype(np.float32).ravel() for part in parts])
