"""Omniglot: letters of many alphabets, each drawn by twenty people (Lake et al. 2015, Science 350:1332).

Out of the two small background sets as their authors packed them. Both have Greek and Latin, the very same drawings, so
the test leaves those out: no letter of a test was seen before.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .corpus import DataMissing, data_file

SOURCE, LICENCE = "github.com/brendenlake/omniglot", "MIT"
SIZE = 28  # pixels a side
DRAWERS = 20
VALIDATION = "Early_Aramaic"  # of the training's; with 22 letters it has tasks of 20 ways too
_TRAIN, _TEST = "images_background_small1", "images_background_small2"


@dataclass(frozen=True, slots=True, eq=False)
class Alphabet:
    name: str
    numbers: tuple[int, ...]
    """Of its letters, in the whole of Omniglot: the same number is the same letter."""
    pictures: NDArray[np.uint8]  # [letters, DRAWERS, SIZE, SIZE], 255 where there is ink


@dataclass(frozen=True, slots=True, eq=False)
class Omniglot:
    train: list[Alphabet]
    validation: list[Alphabet]
    test: list[Alphabet]


def load() -> Omniglot:
    """Three parts that have no letter in common. Raises DataMissing."""
    background, other = _read(_TRAIN), _read(_TEST)
    known = {one.name for one in background}
    return Omniglot(
        [one for one in background if one.name != VALIDATION],
        [one for one in background if one.name == VALIDATION],
        [one for one in other if one.name not in known],
    )


def _read(archive: str) -> list[Alphabet]:
    """In the order of their names."""
    path = data_file(f"omniglot/{archive}.zip", SOURCE)
    found: dict[str, dict[int, list[NDArray[np.uint8]]]] = {}
    with zipfile.ZipFile(path) as packed:
        for name in sorted(one for one in packed.namelist() if one.endswith(".png")):
            _, alphabet, _, file = name.split("/")
            found.setdefault(alphabet, {}).setdefault(int(file.partition("_")[0]), []).append(_ink(packed.read(name)))
    if any(len(drawn) != DRAWERS for letters in found.values() for drawn in letters.values()):
        raise DataMissing(f"{path} is not whole: each letter has {DRAWERS} drawings. It comes from {SOURCE}.")
    return [
        Alphabet(name, tuple(letters), np.stack([np.stack(drawn) for drawn in letters.values()]))
        for name, letters in found.items()
    ]


def _ink(png: bytes) -> NDArray[np.uint8]:
    """105 x 105 in black on white, made smaller."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        return 255 - np.asarray(picture.convert("L").resize((SIZE, SIZE), Image.Resampling.BOX))
