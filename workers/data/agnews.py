"""AG News: titles and beginnings of news, four topics (Zhang et al. 2015)."""

from __future__ import annotations

from .corpus import Corpus, Example, data_file, tab_separated

SOURCE = "AG's corpus of news articles, copy in forest-snow/alps"
LABELS = ("World", "Sports", "Business", "Sci/Tech")
_VALIDATION = 1000


def load() -> Corpus:
    """The copy's development part (10,000) to train on, its test part (7,600) to test with. The whole training set of
    120,000 is not in the copy, so figures here are not those of papers."""
    seen = _read("dev")
    train, validation = seen[:-_VALIDATION], seen[-_VALIDATION:]
    return Corpus("agnews", LABELS, train, validation, _read("test"), SOURCE, "non-commercial in the original")


def _read(part: str) -> list[Example]:
    rows = tab_separated(data_file(f"text/agnews/{part}.tsv", SOURCE))
    return [(row[0].replace("\\", " "), LABELS.index(row[1])) for row in rows if len(row) == 2 and row[1] in LABELS]
