"""Numbers of the head: Wilson's interval against published ones, thresholds by rank, adapters there and back."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from workers.pipelines import prototypes
from workers.pipelines.prototypes import BadAdapter

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("right", "judged", "low", "high"),
    [(0, 10, 0.0, 0.2775), (8, 10, 0.4902, 0.9433), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (0, 0, 0.0, 1.0)],
)
def test_wilson(right: int, judged: int, low: float, high: float) -> None:
    """The last is the example of Newcombe 1998, table I."""
    assert prototypes.wilson(right, judged) == pytest.approx((low, high), abs=2e-4)


def blobs(each: int, classes: int = 3, width: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    source = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    return (4 * np.eye(classes, width)[labels] + source.normal(size=(len(labels), width))).astype(np.float32), labels


def test_left_out_examples_are_told_as_new_ones_are() -> None:
    """Accuracy and rejection over many tasks agree with what new examples get."""
    left_out, new, rejected, expected = [], [], [], []
    for seed in range(60):
        features, labels = blobs(6, seed=seed)
        task, report = prototypes.learned(features, labels, 3, np.zeros(0, np.float32), 0.5)
        others, theirs = blobs(40, seed=1000 + seed)
        answers = prototypes.told(task, others)
        left_out.append(report.right / report.judged)
        new.append(np.mean([np.argmax(one.shares) == label for one, label in zip(answers, theirs, strict=True)]))
        rejected.append(np.mean([one.is_none for one in answers]))
        expected.append(report.rejected)
    assert np.mean(left_out) == pytest.approx(np.mean(new), abs=0.03)
    assert np.mean(rejected) == pytest.approx(np.mean(expected), abs=0.03)


def test_an_adapter_comes_back_as_it_was() -> None:
    features, labels = blobs(5)
    strengths = np.linspace(-1, 1, 7, dtype=np.float32)
    task, _report = prototypes.learned(features, labels, 3, strengths, 0.5)
    written = prototypes.written(task, "m" * 64)
    read = prototypes.read(asdict(written), "m" * 64, 7)
    np.testing.assert_array_equal(read.strengths, strengths)
    np.testing.assert_allclose(read.centres, task.centres, atol=5e-3)
    assert (read.sharpness, read.threshold) == (task.sharpness, task.threshold)


@pytest.mark.parametrize("ranks", [6, 0])
def test_sizes_of_another_model_are_refused(ranks: int) -> None:
    features, labels = blobs(5)
    task, _report = prototypes.learned(features, labels, 3, np.zeros(7, np.float32), 0.5)
    with pytest.raises(BadAdapter, match="other sizes"):
        prototypes.read(asdict(prototypes.written(task, "m")), "m", ranks)


@pytest.mark.parametrize("changes", [{"sharpness": float("nan")}, {"threshold": -1.0}, {"threshold": float("inf")}])
def test_numbers_that_cannot_be_are_refused(changes: dict[str, float]) -> None:
    features, labels = blobs(5)
    task, _report = prototypes.learned(features, labels, 3, np.zeros(0, np.float32), 0.5)
    with pytest.raises(BadAdapter, match="its numbers cannot be"):
        prototypes.read(asdict(prototypes.written(task._replace(**changes), "m")), "m", 0)


def test_a_checksum_covers_everything() -> None:
    features, labels = blobs(5)
    task, _report = prototypes.learned(features, labels, 3, np.zeros(0, np.float32), 0.5)
    written = prototypes.written(task, "m")
    for changes in ({"sharpness": 2.0}, {"threshold": None}, {"classes": 2}, {"model": "n"}, {"sha256": "0" * 64}):
        with pytest.raises(BadAdapter):
            prototypes.read(asdict(replace(written, **changes)), "m", 0)
