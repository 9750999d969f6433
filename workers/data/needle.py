"""A needle in a long text: which of eight letters hides among 511 words of noise?

The letter stands FAR or more words from the beginning, where the answer is read. With a window shorter than that, only
what reaches further can answer.
"""

from __future__ import annotations

import random

from .corpus import Corpus, Example

LABELS = tuple("abcdefgh")
NOISE = tuple(f"w{number}" for number in range(24))
TOKENS = (*LABELS, *NOISE)
LENGTH, FAR = 512, 100


def load(train: int = 20_000, held_back: int = 1_000) -> Corpus:
    """The same examples each time."""
    source = random.Random(0)
    examples = [text(source) for _ in range(train + 2 * held_back)]
    parts = examples[2 * held_back :], examples[:held_back], examples[held_back : 2 * held_back]
    return Corpus("needle", LABELS, *parts, "generated", "none needed")


def text(source: random.Random) -> Example:
    words = source.choices(NOISE, k=LENGTH)
    label = source.randrange(len(LABELS))
    words[source.randrange(FAR, LENGTH)] = LABELS[label]
    return " ".join(words), label
