"""ListOps: nested operations on lists of digits; the answer is a digit (Nangia and Bowman 2018, arXiv:1804.06028).

Generated, as Long Range Arena does, by a generator of our own: brackets are tokens here and are counted in the length
(LRA's published tokenizer dropped them, its issue 20), so figures are comparable on this generator only.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from .corpus import Corpus, Example

LABELS = tuple("0123456789")
OPERATORS: dict[str, Callable[[list[int]], int]] = {
    "[MIN": min,
    "[MAX": max,
    "[MED": lambda values: sorted(values)[len(values) // 2],
    "[SM": lambda values: sum(values) % 10,
}
TOKENS = (*LABELS, *OPERATORS, "]")
_MOST_ARGUMENTS, _DEPTH = 6, 6
_SHORTEST, _LONGEST = 64, 512  # tokens


def load(train: int = 20_000, held_back: int = 2_000) -> Corpus:
    """The same examples each time; none twice."""
    source = random.Random(0)
    seen: set[str] = set()
    examples = [_new(source, seen) for _ in range(train + 2 * held_back)]
    parts = examples[2 * held_back :], examples[:held_back], examples[held_back : 2 * held_back]
    return Corpus("listops", LABELS, *parts, "generated (Nangia and Bowman 2018)", "none needed")


def _new(source: random.Random, seen: set[str]) -> Example:
    while True:
        text, answer = expression(source, _DEPTH)
        if _SHORTEST <= text.count(" ") + 1 <= _LONGEST and text not in seen:
            seen.add(text)
            return text, answer


def expression(source: random.Random, depth: int) -> Example:
    """A list with its answer; the outermost is always an operation."""
    operator = source.choice(list(OPERATORS))
    arguments = [_argument(source, depth - 1) for _ in range(source.randint(2, _MOST_ARGUMENTS))]
    inside = " ".join(text for text, _ in arguments)
    return f"{operator} {inside} ]", OPERATORS[operator]([value for _, value in arguments])


def _argument(source: random.Random, depth: int) -> Example:
    if depth == 0 or source.random() < 0.55:
        digit = source.randrange(10)
        return str(digit), digit
    return expression(source, depth)
