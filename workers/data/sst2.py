"""SST-2: sentences and phrases of film reviews, negative or positive (Socher et al. 2013)."""

from __future__ import annotations

from .corpus import Corpus, Example, data_file, tab_separated

SOURCE = "the Stanford Sentiment Treebank (SST-2, GLUE), copy in forest-snow/alps"
LABELS = ("negative", "positive")


def load() -> Corpus:
    """The sentences of GLUE's development set are the test; the others are split as the copy splits them."""
    train, validation, test = (_read(part) for part in ("train", "dev", "test"))
    return Corpus("sst2", LABELS, train, validation, test, SOURCE, "unclear; research use")


def _read(part: str) -> list[Example]:
    rows = list(tab_separated(data_file(f"text/sst2/{part}.tsv", SOURCE)))
    return [(row[0].strip(), int(row[1])) for row in rows[1:] if row[0].strip()]
