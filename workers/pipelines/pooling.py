"""From the hidden states of tokens to one vector a text. B batch, T tokens, W width."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
POOLINGS = ("mean", "cls", "last_token", "none")


def pool(hidden: Vectors, lengths: NDArray[np.int64], pooling: str) -> Vectors:
    """[B, W] from [B, T, W] of which the first `lengths` [B] tokens of a row are real; `none` takes [B, W].

    Raises ValueError when the shape does not fit the pooling.
    """
    if hidden.ndim != (2 if pooling == "none" else 3):
        raise ValueError(f"pooling {pooling} does not fit an output of {hidden.ndim} dimensions")
    if pooling == "none":
        return hidden
    if pooling == "cls":
        return hidden[:, 0]
    rows = np.arange(len(hidden))
    if pooling == "last_token":
        last: Vectors = hidden[rows, lengths - 1]
        return last
    mask = (np.arange(hidden.shape[1]) < lengths[:, None]).astype(np.float32)  # [B, T]
    total = (mask[:, None] @ hidden)[:, 0]  # [B, W]
    return np.asarray(total / lengths[:, None], np.float32)


def normalized(vectors: Vectors) -> Vectors:
    """Divided by their Euclidean length; a vector of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32, copy=False)
