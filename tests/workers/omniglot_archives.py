"""Two small archives as Omniglot's authors pack theirs: a few letters of random strokes."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

TRAIN = {"Balinese": 5, "Early_Aramaic": 4, "Greek": 4}
TEST = {"Greek": 4, "Sanskrit": 5, "Tagalog": 3}  # Greek has the same drawings as in TRAIN


def write_archives(data_dir: Path, drawers: int = 20) -> None:
    first = {name: 100 * place for place, name in enumerate(sorted({*TRAIN, *TEST}))}
    for archive, alphabets in (("images_background_small1", TRAIN), ("images_background_small2", TEST)):
        path = data_dir / f"omniglot/{archive}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as packed:
            for alphabet, letters in alphabets.items():
                for letter in range(letters):
                    for drawer in range(drawers):
                        number = first[alphabet] + letter
                        name = f"{alphabet}/character{letter + 1:02d}/{number:04d}_{drawer + 1:02d}.png"
                        packed.writestr(f"{archive}/{name}", _drawing(number, drawer))


def _drawing(number: int, drawer: int) -> bytes:
    """Three strokes that make the letter, each a little elsewhere with each drawer."""
    picture = np.ones((105, 105), bool)
    strokes = np.random.default_rng(number).integers(10, 80, (3, 2))
    moved = strokes + np.random.default_rng(drawer).integers(-3, 4, (3, 2))
    for row, column in moved:
        picture[row : row + 4, column : column + 20] = False
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
