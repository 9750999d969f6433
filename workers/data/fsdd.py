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
BANDS = 32
_WINDOW, _HOP, _SIZE = 200, 64, 256  # samples: of a window, between two, of a transform


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


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Loudness by pitch, [T, BANDS] of samples [N, 1]: windows of 25 ms every 8 ms, mel bands up to 4 kHz, each
    recording around 0 with a deviation of 1."""
    signal = np.pad(samples[:, 0], (_WINDOW // 2, _WINDOW // 2))
    frames = np.lib.stride_tricks.sliding_window_view(signal, _WINDOW)[::_HOP] * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames, _SIZE)) ** 2
    found = np.log(power @ _bands() + 1e-8)
    scaled: np.ndarray = ((found - found.mean()) / max(found.std(), 1e-6)).astype(np.float32)
    return scaled


def _bands() -> np.ndarray:
    """[frequencies, BANDS], triangles of equal width in mel."""
    mel = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    frequencies = np.arange(_SIZE // 2 + 1) * RATE / _SIZE
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None)
