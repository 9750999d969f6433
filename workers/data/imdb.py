"""IMDb: reviews of films as they were written, negative or positive (Maas et al. 2011)."""

from __future__ import annotations

import csv
import gzip

from .corpus import Corpus, Example, data_file

SOURCE = "the Large Movie Review Dataset"
LABELS = ("negative", "positive")


def load() -> Corpus:
    """No part is for validation: a training takes it from its own."""
    return Corpus("imdb", LABELS, _read("train"), [], _read("test"), SOURCE, "research use")


def _read(part: str) -> list[Example]:
    with gzip.open(data_file(f"text/imdb/{part}.tsv.gz", SOURCE), "rt", newline="", encoding="utf8") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [(row[0].replace("<br />", " "), int(row[1])) for row in rows[1:]]
