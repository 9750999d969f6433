"""Spoken clips as they are heard, and a classifier that is taught with them as it is served."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts import clips as wav
from contracts.few_shot import CLIPS
from tests.workers.pipelines.test_few_shot_classification import said
from workers.export import few_shot
from workers.pipelines import clips
from workers.zoo.v5_spoken import BANDS, FRAMES

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return few_shot.prepare(CLIPS, tmp_path_factory.mktemp("artifacts"))


def glide(seed: int, begin: float, end: float, seconds: float = 0.5) -> np.ndarray:
    """A tone with overtones that goes from one height to another, each time a little different."""
    source = np.random.default_rng(seed)
    count = round(wav.RATE * seconds * source.uniform(0.8, 1.2))
    height = np.linspace(begin, end, count) * source.uniform(0.95, 1.05)
    phase = 2 * np.pi * np.cumsum(height) / wav.RATE
    tone = np.sin(phase) + 0.5 * np.sin(2 * phase)
    found: np.ndarray = 0.3 * tone * np.hanning(count) + source.normal(0, 1e-4, count)
    return found


def sent(samples: np.ndarray) -> str:
    return base64.b64encode(wav.written(samples)).decode()


def heard(samples: np.ndarray) -> np.ndarray:
    return clips.heard(samples, FRAMES, BANDS)


def test_a_tone_is_loudest_in_its_band_all_the_time() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(4000) / wav.RATE)
    found = heard(tone)
    assert found.shape == (FRAMES, BANDS) and found.dtype == np.float32
    mel = np.linspace(0, 2595 * np.log10(1 + 4000 / 700), BANDS + 2)[1:-1]
    centres = 700 * (10 ** (mel / 2595) - 1)
    assert set(found[3:-3].argmax(1)) <= {np.abs(centres - 1000).argmin()}


def test_silence_around_a_word_and_its_loudness_change_nothing() -> None:
    word = glide(0, 400, 1200)
    plain = heard(word)
    silent = heard(np.pad(word, (1600, 3200)))
    assert np.corrcoef(silent.ravel(), plain.ravel())[0, 1] > 0.97  # by a moment more or less at its ends
    louder = heard(word * 2) - plain
    np.testing.assert_allclose(louder, np.log(4), atol=0.01)


@pytest.mark.parametrize("samples", [np.full(800, 0.5), np.eye(1, 800)[0], np.zeros(800), np.ones(40_000)])
def test_whatever_is_there_is_heard_as_numbers(samples: np.ndarray) -> None:
    assert np.isfinite(heard(samples)).all()


def test_glides_are_told_apart_and_what_is_none_of_them_is_noticed(artifact: Path) -> None:
    classes = [(400.0, 1200.0), (1200.0, 400.0), (800.0, 800.0)]
    known = [glide(seed + 50 * place, *each) for place, each in enumerate(classes) for seed in range(5)]
    lesson = {CLIPS: [sent(one) for one in known], "adapt": {"labels": [0] * 5 + [1] * 5 + [2] * 5, "classes": 3}}
    (taught,) = said(artifact, lesson)
    assert taught["report"]["judged"] == 15 and taught["report"]["right"] >= 14
    asked = [glide(seed + 50 * place, *each) for place, each in enumerate(classes) for seed in range(100, 105)]
    hiss = np.random.default_rng(1).normal(0, 0.2, 4000).clip(-1, 1)
    (told,) = said(artifact, {CLIPS: [sent(one) for one in [*asked, hiss]], "adapter": taught["adapter"]})
    *items, none = told["items"]
    guesses = [int(np.argmax(one["shares"])) for one in items]
    assert sum(guess == at // 5 for at, guess in enumerate(guesses)) >= 14
    assert none["is_none"] and none["distance"] > 1


SILENT = sent(np.zeros(4000))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "clips: must be a list of base64 strings"),
        ([], "clips: must be a list of base64 strings"),
        ([7], "clips: must be a list of base64 strings"),
        (["%%%"], "clips.0: is not base64"),
        (["A" * (wav.MOST_BYTES * 4 // 3 + 8)], "clips.0: is larger than 10 MB"),
        ([""], "clips.0: The file is empty. Record the clip again."),
        (["aGVsbG8gdGhlcmU="],
         "clips.0: The file is no WAV file. Record the clip here, or save it as WAV (PCM)."),
        ([sent(glide(0, 400, 900)), SILENT],
         "clips.1: The clip is silent. Check the microphone and record it again."),
        ([sent(glide(0, 400, 900, 9.0))],
         "clips.0: The clip is {seconds} seconds long; at most 5 are read. Cut it to the word."),
    ],
)  # fmt: skip
def test_clips_that_cannot_be_are_refused(artifact: Path, content: Any, message: str) -> None:
    (found,) = said(artifact, {CLIPS: content, "adapt": {"labels": [0], "classes": 2}})
    seconds = f"{len(glide(0, 400, 900, 9.0)) / wav.RATE:.1f}"
    assert found["message"] == message.replace("{seconds}", seconds)


def test_a_data_address_is_read_as_base64(artifact: Path) -> None:
    word = sent(glide(0, 400, 900))
    classes = {"adapt": {"labels": [0, 1], "classes": 2}}
    plain, addressed = said(artifact, {CLIPS: [word, word], **classes},
                            {CLIPS: [f"data:audio/wav;base64,{word}", word], **classes})  # fmt: skip
    assert addressed["adapter"] == plain["adapter"]


def test_the_card_says_what_it_does_not_hear(artifact: Path) -> None:
    card = (artifact / "README.md").read_text()
    assert "It transcribes nothing." in card and "up to 4 kHz" in card
