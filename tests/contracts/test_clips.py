"""WAV files as strangers send them: every form that is read, and every one that is refused with what to do."""

import io
import struct
import wave
from typing import Any

import numpy as np
import pytest

from contracts import clips
from contracts.clips import BadClip

pytestmark = pytest.mark.unit

TONE = 440  # Hz


def tone(rate: int, seconds: float = 0.5, loudness: float = 0.5) -> np.ndarray:
    return loudness * np.sin(2 * np.pi * TONE * np.arange(round(rate * seconds)) / rate)


def packed(samples: np.ndarray, bits: int, kind: int = 1) -> bytes:
    """Data of one channel; full scale is 1."""
    if kind == 3:
        return samples.astype("<f4" if bits == 32 else "<f8").tobytes()
    whole = np.round(samples * (2 ** (bits - 1) - 1)).astype(np.int64)
    if bits == 8:
        return (whole + 128).astype("u1").tobytes()
    return b"".join(int(one).to_bytes(bits // 8, "little", signed=True) for one in whole)


def wav(
    data: bytes, *, rate: int = 8000, bits: int = 16, kind: int = 1, channels: int = 1, says: int | None = None,
    before: bytes = b"", form: bytes | None = None,
) -> bytes:  # fmt: skip
    """`says` is the length that the data claim to have; `before` stands between the form and them."""
    block = channels * bits // 8
    form = form if form is not None else struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits)
    length = len(data) if says is None else says
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + before + b"data" + struct.pack("<I", length) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000, 44100, 44101, 192_000])
@pytest.mark.parametrize(("bits", "kind"), [(8, 1), (16, 1), (24, 1), (32, 1), (32, 3), (64, 3)])
def test_the_same_tone_is_heard_in_every_form(rate: int, bits: int, kind: int) -> None:
    found = clips.read(wav(packed(tone(rate), bits, kind), rate=rate, bits=bits, kind=kind))
    wanted = tone(clips.RATE)
    assert len(found) == len(wanted)
    inner = slice(400, -400)  # where it begins and ends at once, every filter rings
    np.testing.assert_allclose(found[inner], wanted[inner], atol=0.02 if bits == 8 else 0.01)


def test_the_library_writes_what_is_read() -> None:
    """`wave` of the standard library as the reference, in two channels."""
    left, right = tone(16000), tone(16000, loudness=0.1)
    whole = np.stack([left, right], 1)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((2, 2, 16000, 0, "NONE", ""))
        out.writeframes(np.round(whole * 32767).astype("<i2").tobytes())
    found = clips.read(file.getvalue())
    np.testing.assert_allclose(found[400:-400], tone(8000, loudness=0.3)[400:-400], atol=0.01)


def test_what_is_written_is_read_by_the_library_and_by_us() -> None:
    samples = tone(8000)
    with wave.open(io.BytesIO(clips.written(samples))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (1, 2, 8000, 4000)
    np.testing.assert_allclose(clips.read(clips.written(samples)), samples, atol=1e-4)


def test_what_does_not_fit_below_half_the_rate_is_gone() -> None:
    """A tone of 5 kHz would come back as one of 3 kHz."""
    high = 0.5 * np.sin(2 * np.pi * 5000 * np.arange(16000) / 16000)
    both = high + tone(16000, 1.0, 0.3)
    found = clips.read(wav(packed(both / 2, 16), rate=16000))
    spectrum = np.abs(np.fft.rfft(found[400:-400]))
    frequencies = np.fft.rfftfreq(len(found) - 800, 1 / clips.RATE)
    assert abs(frequencies[spectrum.argmax()] - TONE) < 5
    assert spectrum[(frequencies > 2500) & (frequencies < 3500)].max() < spectrum.max() / 1000


def test_forms_that_programs_write() -> None:
    data = packed(tone(8000), 16)
    plain = clips.read(wav(data))
    extensible = struct.pack("<HHIIHH", 0xFFFE, 1, 8000, 16000, 2, 16) + struct.pack("<HHI", 22, 16, 4)
    extensible += struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    notes = b"LIST" + struct.pack("<I", 5) + b"abcde\x00"  # of odd length, and filled
    for content in (
        wav(data, form=extensible), wav(data, before=notes), wav(data, says=0), wav(data, says=0xFFFFFFFF),
        wav(data) + b"LIST" + struct.pack("<I", 9) + b"abcde",
    ):  # fmt: skip
        np.testing.assert_array_equal(clips.read(content), plain)
    np.testing.assert_array_equal(clips.read(wav(data + b"x")), plain)  # half a sample


def test_floats_beyond_full_scale_are_made_quieter() -> None:
    found = clips.read(wav(packed(tone(8000, loudness=40.0), 32, 3), bits=32, kind=3))
    assert np.abs(found).max() == 1.0


DATA = packed(tone(8000), 16)
SAVE_ONCE_MORE = "The file is damaged: its header cannot be. Save it as WAV (PCM) once more."


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty. Record the clip again."),
        (b"\x00" * (clips.MOST_BYTES + 1), "The clip is larger than 10 MB. Send a shorter one."),
        (b"ID3\x04", "The file is no WAV file. Record the clip here, or save it as WAV (PCM)."),
        (b"OggS" + bytes(100), "The file is no WAV file. Record the clip here, or save it as WAV (PCM)."),
        (b"RIFF\x00\x00\x00\x00AVI " + bytes(100),
         "The file is no WAV file. Record the clip here, or save it as WAV (PCM)."),
        (wav(DATA)[:20], SAVE_ONCE_MORE),
        (wav(DATA)[:40], "The file is damaged: it has no sound in it. Save it as WAV (PCM) once more."),
        (wav(DATA)[:-100], "The file is damaged: it ends too early. Send it again."),
        (wav(DATA, says=2**31), "The file is damaged: it ends too early. Send it again."),
        (wav(b""), "The clip is shorter than 0.1 seconds. Record the whole word."),
        (wav(DATA[:100]), "The clip is shorter than 0.1 seconds. Record the whole word."),
        (wav(packed(tone(8000, 5.1), 16)),
         "The clip is 5.1 seconds long; at most 5 are read. Cut it to the word."),
        (wav(bytes(8000)), "The clip is silent. Check the microphone and record it again."),
        (wav(b"\x80" * 8000, bits=8), "The clip is silent. Check the microphone and record it again."),
        (wav(packed(tone(8000, loudness=0.0005), 16)), "The clip is silent. Check the microphone and record it again."),
        (wav(packed(np.full(4000, 0.5), 16)), "The clip is silent. Check the microphone and record it again."),
        (wav(packed(np.full(4000, np.nan), 32, 3), bits=32, kind=3),
         "The file is damaged: it holds numbers that are none. Save it as WAV once more."),
        (wav(DATA, kind=2), "The clip is compressed. Save it as WAV (PCM)."),
        (wav(DATA, kind=7, bits=8), "The clip is compressed. Save it as WAV (PCM)."),
        (wav(DATA, bits=12), "The clip has samples of 12 bits. Save it as WAV (PCM) of 16 bits."),
        (wav(DATA, kind=3), "The clip has samples of 16 bits. Save it as WAV (PCM) of 16 bits."),
        (wav(DATA, channels=9), "The clip has 9 channels. Save it with one."),
        (wav(DATA, channels=0), "The clip has 0 channels. Save it with one."),
        (wav(DATA, rate=0), "The clip has 0 samples a second. Save it with 16,000."),
        (wav(DATA, rate=2**32 - 1, form=struct.pack("<HHIIHH", 1, 1, 2**32 - 1, 0, 2, 16)),
         "The clip has 4294967295 samples a second. Save it with 16,000."),
        (wav(DATA, form=b"\x01\x00"), SAVE_ONCE_MORE),
        (wav(DATA, form=struct.pack("<HHIIHH", 1, 1, 8000, 16000, 0, 16)), SAVE_ONCE_MORE),
        (b"RIFF\x00\x00\x00\x00WAVEdata" + struct.pack("<I", 8) + bytes(8),
         "The file is damaged: it has no sound in it. Save it as WAV (PCM) once more."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_what_to_do(content: bytes, sentence: str) -> None:
    with pytest.raises(BadClip) as refused:
        clips.read(content)
    assert str(refused.value) == sentence


def test_whatever_bytes_come_the_answer_is_a_clip_or_a_sentence() -> None:
    source, whole = np.random.default_rng(0), bytearray(wav(DATA))
    for _ in range(300):
        changed: Any = bytearray(whole)
        for place in source.integers(0, 60, 3):
            changed[place] = source.integers(256)
        try:
            found = clips.read(bytes(changed[: source.integers(1, len(changed) + 1)]))
            assert np.isfinite(found).all() and np.abs(found).max() <= 1
        except BadClip:
            continue
