"""Spoken clips: WAV files as strangers send them, read into what models look at and browsers play.

Both sides read them: worker-app what an example is made of, in a process of its own, and the worker what is asked
about. The web process never does. PCM of 8, 16, 24 or 32 bits and floats of 32 or 64, any sample rate, one channel or
more; what comes out has one channel of RATE samples a second. Every sentence of a BadClip says what to do.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 8000  # samples a second of what is kept and looked at
LEAST_SECONDS, MOST_SECONDS = 0.1, 5.0
MOST_BYTES = 10 * 2**20
_LEAST_RATE, _MOST_RATE, _MOST_CHANNELS = 4000, 384_000, 8
_REST = 0.05  # seconds
_SILENT = 1e-3  # of full scale; the loudest sample of a clip that somebody speaks in is above it
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KINDS = {
    (_PCM, 8): "u1", (_PCM, 16): "<i2", (_PCM, 24): "", (_PCM, 32): "<i4", (_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8",
}  # fmt: skip
_UNTIL_THE_END = (0, 0xFFFFFFFF)  # sizes that programs write which do not know yet

Samples = NDArray[np.float64]


class BadClip(ValueError):
    """Says why, and what to do, to the person who sent it."""


@dataclass(frozen=True, slots=True)
class _Form:
    kind: int
    channels: int
    rate: int
    bits: int

    @property
    def block(self) -> int:
        """Bytes of a sample of all channels."""
        return self.channels * self.bits // 8


def read(content: bytes) -> Samples:
    """One channel of RATE, between -1 and 1. Its length is checked before anything is decoded. Raises BadClip."""
    if not content:
        raise BadClip("The file is empty. Record the clip again.")
    if len(content) > MOST_BYTES:
        raise BadClip(f"The clip is larger than {MOST_BYTES // 2**20} MB. Send a shorter one.")
    form, data = _parts(content)
    seconds = len(data) // form.block / form.rate
    if seconds > MOST_SECONDS:
        raise BadClip(f"The clip is {seconds:.1f} seconds long; at most {MOST_SECONDS:g} are read. Cut it to the word.")
    if seconds < LEAST_SECONDS:
        raise BadClip(f"The clip is shorter than {LEAST_SECONDS:g} seconds. Record the whole word.")
    samples = _decoded(form, data)
    loudest = float(np.abs(samples).max())
    if not math.isfinite(loudest):
        raise BadClip("The file is damaged: it holds numbers that are none. Save it as WAV once more.")
    if np.ptp(samples) < 2 * _SILENT:
        raise BadClip("The clip is silent. Check the microphone and record it again.")
    return resampled(samples / max(1.0, loudest), form.rate)


def written(samples: Samples) -> bytes:
    """A WAV of 16 bits with nothing but these."""
    data = np.round(samples.clip(-1, 1) * 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", _PCM, 1, RATE, 2 * RATE, 2, 16)
    return b"".join([
        b"RIFF", struct.pack("<I", 36 + len(data)), b"WAVEfmt ", struct.pack("<I", len(form)), form,
        b"data", struct.pack("<I", len(data)), data,
    ])  # fmt: skip


def resampled(samples: Samples, rate: int) -> Samples:
    """To RATE, by their spectrum: what does not fit below half of the lower rate is gone, without an echo. Silence
    stands around them meanwhile, so that the end does not reach the beginning."""
    if rate == RATE:
        return samples
    step = rate // math.gcd(rate, RATE)  # so many are a whole number of samples of RATE
    rest = step * math.ceil(_REST * rate / step)
    whole = step * math.ceil((len(samples) + 2 * rest) / step)
    count = whole * RATE // rate
    spectrum = np.fft.rfft(np.pad(samples, (rest, whole - rest - len(samples))))
    kept = np.zeros(count // 2 + 1, complex)
    shared = min(len(kept), len(spectrum))
    kept[:shared] = spectrum[:shared]
    found: Samples = np.fft.irfft(kept, count) * (count / whole)
    begin = rest * RATE // rate
    return found[begin : begin + max(1, round(len(samples) * RATE / rate))].clip(-1, 1)


def _parts(content: bytes) -> tuple[_Form, bytes]:
    """The form and the data of it. Raises BadClip."""
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise BadClip("The file is no WAV file. Record the clip here, or save it as WAV (PCM).")
    form, place = None, 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        place += 8
        if name == b"data":
            if form is None:
                break
            if size in _UNTIL_THE_END:
                size = len(content) - place
            if place + size > len(content):
                raise BadClip("The file is damaged: it ends too early. Send it again.")
            return form, content[place : place + size - size % form.block]
        if name == b"fmt ":
            form = _form(content[place : place + size])
        place += size + size % 2
    raise BadClip("The file is damaged: it has no sound in it. Save it as WAV (PCM) once more.")


def _form(head: bytes) -> _Form:
    """Raises BadClip."""
    if len(head) < 16:
        raise BadClip("The file is damaged: its header cannot be. Save it as WAV (PCM) once more.")
    kind, channels, rate, _bytes, block, bits = struct.unpack_from("<HHIIHH", head)
    if kind == _EXTENSIBLE and len(head) >= 26:
        (kind,) = struct.unpack_from("<H", head, 24)
    if kind not in (_PCM, _FLOAT):
        raise BadClip("The clip is compressed. Save it as WAV (PCM).")
    if (kind, bits) not in _KINDS:
        raise BadClip(f"The clip has samples of {bits} bits. Save it as WAV (PCM) of 16 bits.")
    if not 1 <= channels <= _MOST_CHANNELS:
        raise BadClip(f"The clip has {channels} channels. Save it with one.")
    if not _LEAST_RATE <= rate <= _MOST_RATE:
        raise BadClip(f"The clip has {rate} samples a second. Save it with 16,000.")
    if block != channels * bits // 8:
        raise BadClip("The file is damaged: its header cannot be. Save it as WAV (PCM) once more.")
    return _Form(kind, channels, rate, bits)


def _decoded(form: _Form, data: bytes) -> Samples:
    """The mean of the channels; full scale is 1."""
    if form.bits == 24:
        wide = np.zeros((len(data) // 3, 4), "u1")
        wide[:, 1:] = np.frombuffer(data, "u1").reshape(-1, 3)
        values = wide.reshape(-1).view("<i4") / 2.0**31
    else:
        found = np.frombuffer(data, _KINDS[form.kind, form.bits]).astype(np.float64)
        values = found if form.kind == _FLOAT else found / 2.0 ** (form.bits - 1) - (form.bits == 8)
    mixed: Samples = values.reshape(-1, form.channels).mean(1)
    return mixed
