"""What every data set of labelled texts gives, and where the public ones lie (DATA_DIR)."""

from __future__ import annotations

import csv
import importlib
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Example = tuple[str, int]


class DataMissing(RuntimeError):
    """Which file is missing and where it comes from, in one sentence."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts with the index of their label. `test` is never looked at while training."""

    name: str
    labels: tuple[str, ...]
    train: list[Example]
    validation: list[Example]
    test: list[Example]
    source: str
    licence: str

    def some(self, train: int = 0, validation: int = 0, test: int = 0) -> Corpus:
        """At most so many examples of each part, 0 for all; always the same ones."""
        parts = [_some(*pair) for pair in ((self.train, train), (self.validation, validation), (self.test, test))]
        return Corpus(self.name, self.labels, *parts, self.source, self.licence)


def _some(examples: list[Example], count: int) -> list[Example]:
    if not count or count >= len(examples):
        return examples
    return random.Random(0).sample(examples, count)


def load(name: str) -> Corpus:
    """The data set of the module with that name. Raises DataMissing."""
    found: Corpus = importlib.import_module(f"workers.data.{name}").load()
    return found


def data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR", "../shared/data"))


def data_file(name: str, source: str) -> Path:
    """The file below DATA_DIR. Raises DataMissing."""
    path = data_dir() / name
    if not path.is_file():
        raise DataMissing(f"{path} is missing. It comes from {source}; set DATA_DIR to the folder that has {name}.")
    return path


def tab_separated(path: Path) -> Iterator[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
