"""Shares, stickiness, and the worker that keeps a conversation's prefix."""

import time
from collections import Counter

import pytest

from apps.serving.router import Spread, choose_revision, choose_worker, point_of
from contracts.messages import RevisionReport, Route, RouteRevision, WorkerLease


def lease(worker: str, *ready: str, **fields: int) -> WorkerLease:
    reports = {key: RevisionReport("READY", **{"slots": 4, **fields}) for key in ready}  # type: ignore[arg-type]
    return WorkerLease(worker, "host", 1, time.time() + 5, reports)


def route(**weights: int) -> Route:
    revisions = [RouteRevision(name, int(name[1:]), weight) for name, weight in weights.items()]
    return Route("d", "D", "text-generation", 0.0, revisions=revisions)


BOTH = [lease("w", "r1", "r2")]


@pytest.mark.parametrize("canary", [10, 25, 50, 90])
@pytest.mark.parametrize("start", [0.0, 0.37, 0.99])
def test_shares_are_within_three_points_after_a_hundred_requests(canary: int, start: float) -> None:
    spread, shares = Spread(start), route(r1=100 - canary, r2=canary)
    counts: Counter[str] = Counter()
    for sent in range(1, 400):
        chosen = choose_revision(shares, BOTH, spread.point("d"))
        assert chosen is not None
        counts[chosen.key] += 1
        if sent >= 100:
            assert abs(100 * counts["r2"] / sent - canary) <= 3


def test_deployments_have_sequences_of_their_own() -> None:
    spread = Spread(0.0)
    assert [spread.point("a"), spread.point("b"), spread.point("a")] == [0.0, 0.0, pytest.approx(0.618034)]


def test_growing_canary_keeps_whom_it_has() -> None:
    people = [point_of(f"person {number}") for number in range(1000)]
    on_canary = []
    for weight in (10, 50, 100):
        chosen = [choose_revision(route(r1=100 - weight, r2=weight), BOTH, point) for point in people]
        on_canary.append({place for place, one in enumerate(chosen) if one and one.key == "r2"})
    assert on_canary[0] < on_canary[1] < on_canary[2]
    assert len(on_canary[0]) == pytest.approx(100, abs=30)


def test_share_of_what_is_not_ready_is_served_by_the_others() -> None:
    only_old = [lease("w", "r1")]
    chosen = {choose_revision(route(r1=10, r2=90), only_old, point / 100) for point in range(100)}
    assert {one and one.key for one in chosen} == {"r1"}


def test_standby_gets_nothing_and_nothing_ready_is_none() -> None:
    assert choose_revision(route(r1=100, r2=0), [lease("w", "r2")], 0.5) is None
    assert choose_revision(route(r1=100), [], 0.5) is None


def test_conversation_stays_at_its_worker_until_that_is_gone() -> None:
    workers = [lease(name, "r1") for name in "abcd"]
    talks = [f"talk {number}" for number in range(200)]
    before = {talk: choose_worker("r1", workers, talk) for talk in talks}
    assert set(before.values()) == set("abcd")
    after = {talk: choose_worker("r1", workers[1:], talk) for talk in talks}
    assert all(after[talk] == home for talk, home in before.items() if home != "a")


@pytest.mark.parametrize("busy", [{"waiting": 1}, {"running": 4}])
def test_busy_worker_is_not_waited_for(busy: dict[str, int]) -> None:
    workers = [lease("a", "r1", **busy), lease("b", "r1", **busy)]
    assert choose_worker("r1", workers, "talk") == ""


def test_without_conversation_or_choice_any_worker_will_do() -> None:
    assert choose_worker("r1", [lease("a", "r1"), lease("b", "r1")], "") == ""
    assert choose_worker("r1", [lease("a", "r1")], "talk") == ""
