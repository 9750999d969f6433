"""Free Spoken Digit Dataset: 3,000 recordings of ten digits by six people, 8 kHz (Jackson et al. 2018)."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from .corpus import DataMissing, data_dir
from .series import Series

SOURCE = "github.com/Jakobovski/free-spoken-digit-dataset"
LICENCE = "CC BY-SA 4.0"
RATE = 8000  # samples a second
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
_TEST = range(5)  # numbers of the recordings that the set's own split tests with


def load() -> tuple[list[Series], list[Series]]:
    """Training and test as the set splits them; values between -1 and 1, `group` the speaker. Raises DataMissing."""
    folder = data_dir() / "fsdd/recordings"
    paths = sorted(folder.glob("*_*_*.wav"))
    if not paths:
        raise DataMissing(
            f"{folder} has no recordings. They come from {SOURCE}; set DATA_DIR to the folder with fsdd/."
        )
    parts: tuple[list[Series], list[Series]] = [], []
    for path in paths:
        digit, speaker, number = path.stem.split("_")
        is_test = int(number) in _TEST
        parts[is_test].append(Series(path.stem, _samples(path)[:, None], int(digit), speaker))
    return parts


def _samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE):
            raise DataMissing(f"{path.name} is not a recording of {RATE} Hz with one channel of 16 bits.")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
