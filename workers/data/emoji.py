"""Emoji: 1,911 small pictures by two vendors, with names and keywords in English and Chinese.

Out of three npm packages as `npm pack` leaves them in DATA_DIR/emoji; nothing of them is run. Pictures of Twitter's are
CC-BY-4.0, those of Google's Apache-2.0, names and keywords (emojibase, from Unicode's CLDR) MIT.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .corpus import DataMissing, data_dir

VENDORS = ("twitter", "google")
LANGUAGES = ("en", "zh")
SIZE = 64  # pixels a side
SOURCE = "emoji-datasource-twitter, emoji-datasource-google and emojibase-data (npm)"
LICENCE = "CC-BY-4.0 (pictures of Twitter), Apache-2.0 (pictures of Google), MIT (names)"
PACKAGES = ("emoji-datasource-twitter-16.0.0", "emoji-datasource-google-16.0.0", "emojibase-data-17.0.0")
_HELD_BACK = 20  # per cent of the concepts


@dataclass(frozen=True, slots=True)
class Emoji:
    code: str  # code points in hexadecimal, without the variation selector
    names: dict[str, str]  # by language
    tags: dict[str, tuple[str, ...]]
    pictures: dict[str, NDArray[np.uint8]]  # by vendor; [64, 64, 3] on white
    order: int = 0
    """Unicode's: what is alike stands together."""

    @property
    def is_unseen(self) -> bool:
        """One of the fifth of all concepts that no training sees; by its code, so it stays what it is."""
        return int(hashlib.sha256(self.code.encode()).hexdigest(), 16) % 100 < _HELD_BACK


def load() -> list[Emoji]:
    """In the order of their codes. Raises DataMissing."""
    order = _order()
    words = {language: _words(language) for language in LANGUAGES}
    pictures = {vendor: dict(_pictures(vendor)) for vendor in VENDORS}
    codes = sorted(set.intersection(*map(set, (*words.values(), *pictures.values()))))
    return [
        Emoji(
            code,
            {language: words[language][code][0] for language in LANGUAGES},
            {language: words[language][code][1] for language in LANGUAGES},
            {vendor: pictures[vendor][code] for vendor in VENDORS},
            order[code],
        )
        for code in codes
    ]


def _words(language: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {_code(row["hexcode"]): (row["label"], tuple(row.get("tags", ()))) for row in _rows(language)}


def _order() -> dict[str, int]:
    """What has none, such as a flag of a region alone, comes last."""
    return {_code(row["hexcode"]): row.get("order", 1_000_000) for row in _rows("en")}


def _rows(language: str) -> list[dict[str, Any]]:
    with _opened(PACKAGES[2]) as package:
        rows: list[dict[str, Any]] = json.load(_member(package, f"package/{language}/data.json"))
    return rows


def _pictures(vendor: str) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    name = next(one for one in PACKAGES if vendor in one)
    with _opened(name) as package:
        rows: list[dict[str, Any]] = json.load(_member(package, "package/emoji.json"))
        wanted = {f"package/img/{vendor}/{SIZE}/{row['image']}": _code(row["unified"]) for row in rows}
        for member in package:  # in the order of the file: one that is compressed cannot be jumped in
            if code := wanted.get(member.name):
                file = package.extractfile(member)
                assert file is not None
                yield code, _on_white(file.read())


def _on_white(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        whole = picture.convert("RGBA").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB"))


def _code(hexcode: str) -> str:
    return "-".join(part for part in hexcode.upper().split("-") if part != "FE0F")


def _opened(name: str) -> tarfile.TarFile:
    return tarfile.open(_file(name))


def _member(package: tarfile.TarFile, name: str) -> io.BufferedReader:
    try:
        file = package.extractfile(name)
    except KeyError:
        file = None
    if file is None:
        raise DataMissing(f"{name} is not in {package.name!r}: fetch the package again.")
    return file  # type: ignore[return-value]


def _file(name: str) -> Path:
    path = data_dir() / "emoji" / f"{name}.tgz"
    if not path.is_file():
        wanted = " ".join("@".join(one.rsplit("-", 1)) for one in PACKAGES)
        raise DataMissing(f"{path} is missing: run `npm pack {wanted}` in the folder {path.parent}.")
    return path
