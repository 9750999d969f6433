"""Plays of Shakespeare, one megabyte of characters (Karpathy 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .corpus import data_file

SOURCE = "github.com/karpathy/char-rnn, data/tinyshakespeare/input.txt"
LICENCE = "public domain"
_HELD_BACK = 0.05  # of the text, for validation and for the test each: its last tenth


@dataclass(frozen=True, slots=True, eq=False)
class Characters:
    """Places in `alphabet`."""

    alphabet: str
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def load() -> Characters:
    """Raises DataMissing."""
    text = data_file("text/tinyshakespeare.txt", SOURCE).read_text(encoding="utf-8")
    alphabet = "".join(sorted(set(text)))
    places = {letter: place for place, letter in enumerate(alphabet)}
    whole = np.array([places[letter] for letter in text])
    held = round(len(whole) * _HELD_BACK)
    return Characters(alphabet, whole[: -2 * held], whole[-2 * held : -held], whole[-held:])
