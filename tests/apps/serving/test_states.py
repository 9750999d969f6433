"""A revision's state from what the workers say."""

import pytest

from apps.serving.states import Observed, observe
from contracts.messages import RevisionReport


def seen(*reports: RevisionReport, is_wanted: bool = True, generation: int = 1, placed: int = 1) -> Observed:
    return observe(
        is_wanted=is_wanted, generation=generation, reports=reports, placed=placed, waiting_for="needs 9.0 GB"
    )


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], Observed("PENDING", "needs 9.0 GB")),
        (["LOADING"], Observed("LOADING")),
        (["LOADING", "WARMING"], Observed("WARMING")),
        (["FAILED", "LOADING"], Observed("LOADING")),
        (["FAILED", "READY"], Observed("READY", "needs 9.0 GB")),
        (["DRAINING"], Observed("PENDING", "needs 9.0 GB")),
    ],
)
def test_the_best_of_the_workers_counts(states: list[str], expected: Observed) -> None:
    assert seen(*(RevisionReport(state) for state in states), placed=len(states)) == expected


def test_failed_when_every_worker_that_shall_have_it_failed() -> None:
    failed = RevisionReport("FAILED", "model.onnx is gone")
    assert seen(failed) == Observed("FAILED", "model.onnx is gone")
    assert seen(failed, placed=2).state == "PENDING"


def test_failure_of_another_generation_says_nothing() -> None:
    assert seen(RevisionReport("FAILED", "old"), generation=2).state == "PENDING"


def test_not_wanted_is_draining_until_nobody_has_it() -> None:
    assert seen(RevisionReport("READY"), is_wanted=False) == Observed("DRAINING")
    assert seen(is_wanted=False) == Observed("STOPPED")


def test_measured_memory_is_kept() -> None:
    assert seen(RevisionReport("READY", memory_bytes=7)).memory_bytes == 7
