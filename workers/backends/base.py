"""The interface between the engine and whatever computes logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]
Picks = NDArray[np.int64]


class BackendError(RuntimeError):
    """The model could not be loaded or run; the message is one sentence for the administrator."""


class Backend(Protocol):
    """A causal language model with a key-value cache of `slots` rows.

    One thread owns it. Rows 0..n-1 are the batch of a decode; every other row keeps what was
    written to it. Returned logits are views that the next call overwrites.
    """

    slots: int  # rows of the cache
    context_length: int  # tokens a row can hold
    vocab_size: int
    picks: Picks | None
    """Of the last call, experts [n, layers, K] that the logits of each row came through; None for models without."""

    def load(self) -> None:
        """Reads the weights. Raises BackendError."""

    def warm_up(self) -> None:
        """Runs every kind of step once; leaves the contents of the cache undefined."""

    def prefill(self, slot: int, token_ids: Sequence[int], offset: int) -> Logits:
        """Writes `token_ids` at positions offset.. of `slot`; logits [vocab] of the last one."""

    def decode(self, token_ids: Sequence[int], lengths: Sequence[int]) -> Logits:
        """One token for each of rows 0..n-1, at position `lengths[row]`; logits [n, vocab]."""

    def copy(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` positions of a row over another."""

    def swap(self, first: int, second: int, first_length: int, second_length: int) -> None:
        """Exchanges two rows of which the given number of positions is in use."""

    def close(self) -> None:
        """Gives the memory back. The backend cannot be used afterwards."""
