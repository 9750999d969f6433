"""What the benchmark of everything at once makes of its answers."""

import pytest

from benchmarks.mixed_load import Memory, fair_shares, recovery
from benchmarks.mixed_site import Played
from benchmarks.open_load import Answer, OpenLoad


def answer(sent: float, last: float = 0.1, status: int = 200) -> Answer:
    return Answer(
        status=status, first=last, last=last, admission_ms=None, events=0, sent=sent, retry_after=None, is_broken=False
    )


@pytest.mark.parametrize(
    ("asked", "total", "given"),
    [
        ([10, 10], 12, [6, 6]),
        ([90, 10, 10], 60, [40, 10, 10]),
        ([2, 50, 50], 32, [2, 15, 15]),
        ([5, 5], 10, [5, 5]),
        ([0, 8], 4, [0, 4]),
    ],
)
def test_what_is_left_goes_to_those_who_want_more(asked: list[float], total: float, given: list[float]) -> None:
    assert fair_shares(asked, total) == pytest.approx(given)


def test_recovery_is_the_first_moment_from_which_all_is_as_before() -> None:
    late = [answer(100.0 + second, last=5.0) for second in range(4)]
    refused = [answer(104.5, status=503)]
    calm = [answer(105.0 + second) for second in range(40)]
    played = Played(0.0, [50.0, 100.0, 145.0], {("page", "ada"): OpenLoad(late + refused + calm)})
    assert recovery(played, 100.0, 145.0) == 5.0


def test_recovery_is_none_when_nothing_gets_better() -> None:
    played = Played(0.0, [], {("page", "ada"): OpenLoad([answer(100.0 + n, last=3.0) for n in range(40)])})
    assert recovery(played, 100.0, 140.0) is None


def test_growth_compares_the_last_window_with_the_first() -> None:
    memory = Memory(None)
    memory.samples = [(float(at), {"web": 100.0 if at < 60 else 103.0}) for at in range(0, 120, 10)]
    assert memory.growth(30.0, 20.0, 110.0) == {"web": {"first_mb": 100.0, "last_mb": 103.0, "growth_share": 0.03}}
