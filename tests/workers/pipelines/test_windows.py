"""Windows as they are read, and a classifier that is taught with them as it is served."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contracts.few_shot import WINDOWS
from tests.workers.pipelines.test_few_shot_classification import said
from workers.export import few_shot
from workers.pipelines import windows
from workers.zoo.v5_windows import LENGTH, LEVELS, Windows

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return few_shot.prepare(WINDOWS, tmp_path_factory.mktemp("artifacts"))


def noise(seed: int, level: float = 0.0, spread: float = 1.0, count: int = 60) -> list[float]:
    found: list[float] = np.random.default_rng(seed).normal(level, spread, count).tolist()
    return found


def wave(seed: int, turns: float, count: int = 60) -> list[float]:
    source = np.random.default_rng(seed)
    found: list[float] = np.sin(np.linspace(0, 2 * np.pi * turns, count) + source.uniform(0, 6)).tolist()
    return found


def test_a_window_is_told_by_its_shape_level_and_spread() -> None:
    values = np.array(noise(0, 20, 2))
    found = windows.read(values, LENGTH)
    assert found.shape == (LENGTH + LEVELS,) and found.dtype == np.float32
    assert abs(found[:LENGTH].mean()) < 1e-5 and math.isclose(found[:LENGTH].std(), 1, rel_tol=1e-4)
    np.testing.assert_allclose(found[LENGTH:], [math.asinh(values.mean()), math.log(values.std())], rtol=1e-5)
    np.testing.assert_allclose(windows.read(values * 3 + 7, LENGTH)[:LENGTH], found[:LENGTH], atol=1e-4)


def test_what_is_constant_has_no_shape() -> None:
    for level in (0.0, 0.1, 1e30):
        found = windows.read(np.full(50, level), LENGTH)
        assert not found[:LENGTH].any() and np.isfinite(found).all()


def test_a_longer_window_is_told_by_means_and_a_shorter_one_by_lines() -> None:
    np.testing.assert_allclose(windows.resampled(np.arange(8.0), 4), [0.5, 2.5, 4.5, 6.5])
    np.testing.assert_allclose(windows.resampled(np.arange(3.0), 5), [0, 0.5, 1, 1.5, 2])
    np.testing.assert_allclose(windows.resampled(np.array([1.0, 2, 4]), 2), [4 / 3, 10 / 3])


def test_kernels_have_no_sum_and_biases_lie_within_what_they_say() -> None:
    base = Windows()
    assert base.kernels.shape == (84, 1, 9) and not base.kernels.sum(-1).any()
    assert len(torch.unique(base.kernels, dim=0)) == 84
    assert base.features == len(base.mean) + 16 and base.ranks == 0
    assert torch.equal(base.biases, Windows().biases)  # the same ones whenever it is made


@torch.no_grad()
def test_shares_are_those_of_a_plain_convolution() -> None:
    """numpy as the reference; the ramp is narrow enough to be a step for nearly all values."""
    base = Windows()
    row = windows.read(np.array(noise(3)), LENGTH)
    found = (base(torch.from_numpy(row)[None])[0, : len(base.mean)] * base.deviation + base.mean).reshape(5, 84, 2)
    for place, dilation in ((0, 1), (3, 8)):
        padded = np.pad(row[:LENGTH], 4 * dilation)
        for kernel in (0, 40, 83):
            taps = base.kernels[kernel, 0].numpy()
            conv = sum(taps[tap] * padded[tap * dilation : tap * dilation + LENGTH] for tap in range(9))
            wanted = [(conv > bias).mean() for bias in base.biases[place, kernel].numpy()]
            np.testing.assert_allclose(found[place, kernel].numpy(), wanted, atol=0.02)


@pytest.mark.parametrize(
    ("classes", "name"),
    [
        ([lambda seed: wave(seed, 2), lambda seed: wave(seed, 7)], "shape"),
        ([lambda seed: noise(seed, 20), lambda seed: noise(seed, 40)], "level"),
        ([lambda seed: noise(seed, 0, 1), lambda seed: noise(seed, 0, 2)], "spread"),
    ],
)
def test_classes_are_told_by_shape_by_level_and_by_spread(artifact: Path, classes: list[Any], name: str) -> None:
    known = [make(seed + 50 * place) for place, make in enumerate(classes) for seed in range(5)]
    lesson = {"windows": known, "adapt": {"labels": [0] * 5 + [1] * 5, "classes": 2}}
    (taught,) = said(artifact, lesson)
    assert taught["report"]["judged"] == 10 and taught["report"]["right"] >= 7
    asked = [make(seed + 50 * place) for place, make in enumerate(classes) for seed in range(100, 110)]
    (told,) = said(artifact, {"windows": asked, "adapter": taught["adapter"]})
    guesses = [int(np.argmax(one["shares"])) for one in told["items"]]
    assert sum(guess == at // 10 for at, guess in enumerate(guesses)) >= 17, name


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (None, "windows: must be a list of lists of numbers"),
        ([[1.0] * 7], "windows: each must be a list of 8 to 512 numbers"),
        ([[1.0] * 513], "windows: each must be a list of 8 to 512 numbers"),
        (["1 2 3"], "windows: each must be a list of 8 to 512 numbers"),
        ([[1.0] * 7 + [float("nan")]], "windows: must be numbers between -1e+30 and 1e+30"),
        ([[1.0] * 7 + ["1"]], "windows: must be numbers between -1e+30 and 1e+30"),
        ([[1.0] * 7 + [True]], "windows: must be numbers between -1e+30 and 1e+30"),
    ],
)
def test_windows_that_cannot_be_are_refused(artifact: Path, sent: Any, message: str) -> None:
    (found,) = said(artifact, {"windows": sent, "adapt": {"labels": [0], "classes": 2}})
    assert found["message"] == message
