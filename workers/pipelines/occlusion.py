"""Which words of a text made the difference: the text is read again without one span of words at a time.

The weight of a span is how much the log-odds of the answer fall when it is left out ("representation erasure", Li,
Monroe and Jurafsky 2016). It needs nothing of the model but its scores, so every imported classifier can be asked. It
is not a gradient and not attention: words that only matter together share their weight badly, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

MAX_SPANS = 64
MIN_SPANS = 8
TOKEN_BUDGET = 32_768  # tokens that one explanation may cost; a longer text has fewer and longer spans
_TINY = 1e-7


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the text. `start` and `end` count characters, `first` and `last` tokens; ends are exclusive."""

    start: int
    end: int
    first: int
    last: int


def spans(encoding: Encoding) -> list[Span]:
    """The words of a text, in runs of equal number when there are too many of them; none of an empty text."""
    words = _words(encoding)
    count = max(MIN_SPANS, min(MAX_SPANS, TOKEN_BUDGET // max(1, len(encoding.ids))))
    bounds = np.linspace(0, len(words), min(count, len(words)) + 1).round().astype(int)
    return [_joined(words[start:end]) for start, end in pairwise(bounds)]


def without(ids: list[int], span: Span) -> list[int]:
    return ids[: span.first] + ids[span.last :]


def weights(scores: Sequence[NDArray[np.float32]], label: int) -> list[float]:
    """Of each span: log-odds of the label in the whole text, scores[0], less those without the span."""
    odds = [_log_odds(float(row[label])) for row in scores]
    return [odds[0] - one for one in odds[1:]]


def explanation(parts: Sequence[Span], scores: Sequence[NDArray[np.float32]], labels: Sequence[str]) -> dict[str, Any]:
    """For the answer: {label, method, spans: [{start, end, weight}]}."""
    best = int(np.argmax(scores[0]))
    rows = [
        {"start": part.start, "end": part.end, "weight": round(weight, 4)}
        for part, weight in zip(parts, weights(scores, best), strict=True)
    ]
    return {"label": labels[best], "method": "occlusion", "spans": rows}


def _words(encoding: Encoding) -> list[Span]:
    """Tokens that belong to one word, together; special tokens belong to none."""
    found: list[Span] = []
    known: int | None = None
    for place, (word, (start, end)) in enumerate(zip(encoding.word_ids, encoding.offsets, strict=True)):
        if word is None:
            continue
        if word == known:
            found[-1] = Span(found[-1].start, end, found[-1].first, place + 1)
        else:
            found.append(Span(start, end, place, place + 1))
        known = word
    return found


def _joined(words: Sequence[Span]) -> Span:
    return Span(words[0].start, words[-1].end, words[0].first, words[-1].last)


def _log_odds(score: float) -> float:
    kept = min(max(score, _TINY), 1 - _TINY)
    return float(np.log(kept / (1 - kept)))
