"""How far each layer and head of a model with dynamic range attention (V1) looked, for a picture.

The graph has the output `reach` [B, layers, H, T]: the levels that each query asks for, 0 to L. On level j a query sees
c summaries a side of the blocks at distance (2^(j-1), 2^j], beside its own block, its neighbours and the global tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.backends.base import BackendError
from workers.backends.encoder import EncoderBackend

from .text_encoder import Finish, TextLane, TokenIds

OUTPUT = "reach"
BINS = 64  # places of the text in the picture


class Watched(list[int]):
    """Token ids of a text whose reach is wanted."""


@dataclass(frozen=True, slots=True)
class Attention:
    """The shape of the attention, as the manifest says it. Raises BackendError."""

    window: int
    summaries: int
    levels: int
    global_tokens: int

    @classmethod
    def of(cls, manifest: dict[str, Any]) -> Attention | None:
        """None for a model with another attention."""
        said = manifest.get("range")
        if not said:
            return None
        try:
            return cls(**{name: int(said[name]) for name in cls.__dataclass_fields__})
        except (KeyError, TypeError, ValueError) as error:
            raise BackendError(f"The manifest does not describe its range: {error}") from error

    def picture(self, reach: NDArray[np.float32]) -> dict[str, Any]:
        """Of one text, reach [layers, H, T]: the mean level of each part of the text, and how many keys a token saw."""
        layers, heads, tokens = reach.shape
        bounds = np.linspace(0, tokens, min(BINS, tokens) + 1).round().astype(int)
        parts = np.add.reduceat(reach, bounds[:-1], axis=-1) / np.diff(bounds)
        return {
            "window": self.window,
            "levels": self.levels,
            "tokens": tokens,
            "reach": [[[round(float(level), 1) for level in head] for head in layer] for layer in parts],
            "keys": round(float(self.keys(reach).mean()), 1),
            "shape": [layers, heads],
        }

    def keys(self, reach: NDArray[np.float32]) -> NDArray[np.float64]:
        """How many keys each token was compared with; never more than there are tokens."""
        tokens = reach.shape[-1]
        places = np.arange(tokens)
        begin = np.maximum(0, (places // self.window - 1) * self.window)
        end = np.minimum(tokens, (places // self.window + 2) * self.window)
        seen = np.broadcast_to((end - begin + self.global_tokens).astype(float), reach.shape).copy()
        for level in range(1, self.levels + 1):
            seen += (reach > level - 1) * self._summaries_on(level, places, tokens)
        return np.minimum(seen, tokens)

    def _summaries_on(self, level: int, places: NDArray[np.int64], tokens: int) -> NDArray[np.float64]:
        """Summaries of the level that lie within the text, for a token at each place."""
        pooled = self.window * 2 ** (level - 1) / self.summaries
        block = places // self.window
        far, near = 2**level, 2 ** (level - 1)
        left = np.clip(block - near, 0, far - near) * self.window / pooled
        last = (tokens - 1) // self.window
        right = np.clip(last - block - near, 0, far - near) * self.window / pooled
        return np.asarray(np.minimum(left, self.summaries) + np.minimum(right, self.summaries), float)


@dataclass(frozen=True, slots=True)
class Looked:
    """Scores of a watched text and the picture of its attention."""

    scores: NDArray[np.float32]
    attention: dict[str, Any]


class WatchingLane(TextLane):
    """A lane that runs watched texts alone and asks for their reach as well."""

    def __init__(self, backend: EncoderBackend, pad_id: int, finish: Finish, attention: Attention) -> None:
        super().__init__(backend, pad_id, finish)
        self._attention = attention

    def run(self, payloads: Sequence[TokenIds]) -> list[Any]:
        others = iter(super().run(rest) if (rest := [ids for ids in payloads if not isinstance(ids, Watched)]) else [])
        return [self._watch(ids) if isinstance(ids, Watched) else next(others) for ids in payloads]

    def _watch(self, ids: TokenIds) -> Looked:
        lengths = np.array([len(ids)], np.int64)
        logits, reach = self._backend.run_with(self.feeds([ids]), OUTPUT)
        [scores] = self._finish(logits, lengths)
        return Looked(scores, self._attention.picture(reach[0]))
