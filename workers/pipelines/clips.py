"""Spoken clips as few-shot-classification reads them: {"clips": [base64 of a WAV file]} (contracts/clips.py).

Silence before and after is cut off, and what is left is told by how loud each mel band is, at as many moments whatever
its length is.

Letters: B rows of a batch, T frames.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts import clips
from contracts.clips import MOST_BYTES, RATE, BadClip
from contracts.few_shot import CLIPS
from contracts.messages import ErrorType, InferenceRequest, RevisionSpec
from workers.backends.encoder import Feeds
from workers.engine.encoder import Prepared
from workers.engine.intake import Refused

from .manifest import require
from .prototypes import Array

_WINDOW, _HOP, _SIZE = 200, 80, 256  # samples: of a window, between two, of a transform
_QUIET = 30.0  # decibels below the loudest moment: silence
_ABOVE = 4.0  # decibels above the quietest tenth, and where there is noise, that is silence, too
_CLEAR = 12.0  # decibels below the loudest moment, at most: what is as loud is never cut off
_EDGE = 2  # frames of silence that stay
_FLOOR = 1e-5  # of the loudest band: below that is rounding


class ClipReader:
    max_length = 1  # clips all cost the same

    def __init__(self, artifact: Path, spec: RevisionSpec, manifest: dict[str, Any]) -> None:
        require(manifest, "frames", "bands")
        self._frames: int = manifest["frames"]
        self._bands: int = manifest["bands"]

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        sent = request.inputs.get(CLIPS)
        if not isinstance(sent, list) or not sent or not all(isinstance(one, str) for one in sent):
            raise Refused(ErrorType.INVALID_REQUEST, f"{CLIPS}: must be a list of base64 strings", param=CLIPS)
        return [
            Prepared(heard(_decoded(one, place), self._frames, self._bands), 1, 0) for place, one in enumerate(sent)
        ]

    def feeds(self, payloads: Sequence[Array]) -> Feeds:
        return {CLIPS: np.stack(payloads)}

    def probe(self, length: int) -> Array:
        return np.zeros((self._frames, self._bands), np.float32)


def heard(samples: NDArray[np.float64], frames: int, bands: int) -> Array:
    """[T, bands]: logarithms of the power in each mel band, between the silences, by straight lines between moments."""
    power = _power(samples)
    loud = _loud(power) @ _mel(bands)
    found = np.log(loud + _FLOOR * loud.max() + 1e-12)
    at = np.linspace(0, len(found) - 1, frames)
    before = np.floor(at).astype(np.int64)
    share = (at - before)[:, None]
    after = np.minimum(before + 1, len(found) - 1)
    result: Array = (found[before] * (1 - share) + found[after] * share).astype(np.float32)
    return result


def _power(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """[moments, frequencies], one each 10 ms."""
    signal = np.pad(samples, _WINDOW // 2)
    parts = np.lib.stride_tricks.sliding_window_view(signal, _WINDOW)[::_HOP] * np.hanning(_WINDOW)
    found: NDArray[np.float64] = np.abs(np.fft.rfft(parts, _SIZE)) ** 2
    return found


def _loud(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those from the first to the last moment that is no silence, and a little around them."""
    loudness = 10 * np.log10(power.sum(1) + 1e-10)
    loudest = loudness.max()
    silence = min(max(loudest - _QUIET, np.quantile(loudness, 0.1) + _ABOVE), loudest - _CLEAR)
    on = np.flatnonzero(loudness > silence)
    return power[max(0, on[0] - _EDGE) : on[-1] + 1 + _EDGE]


@cache
def _mel(bands: int) -> NDArray[np.float64]:
    """[frequencies, bands], triangles of equal width in mel."""
    mel = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    frequencies = np.arange(_SIZE // 2 + 1) * RATE / _SIZE
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    found: NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None)
    return found


def _decoded(said: str, place: int) -> NDArray[np.float64]:
    """Raises Refused."""
    if said.startswith("data:"):
        said = said.partition(",")[2]
    if len(said) > MOST_BYTES * 4 // 3 + 4:
        raise _refused(place, f"is larger than {MOST_BYTES // 2**20} MB")
    try:
        content = base64.b64decode(said, validate=True)
    except (binascii.Error, ValueError):
        raise _refused(place, "is not base64") from None
    try:
        return clips.read(content)
    except BadClip as error:
        raise _refused(place, str(error)) from error


def _refused(place: int, reason: str) -> Refused:
    name = f"{CLIPS}.{place}"
    return Refused(ErrorType.INVALID_REQUEST, f"{name}: {reason}", param=name, index=place)
