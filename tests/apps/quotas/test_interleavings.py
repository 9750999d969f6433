"""Nothing leaks and nothing overshoots, whatever comes after what."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from apps.serving.connection import client
from tests.apps.quotas.interleaving import ACCOUNTS, Interleaving

_SOME = st.integers(0, 10**6)


class Admission(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = Interleaving(client())

    def _one(self, choice: int) -> str | None:
        sources = list(self.world.held)
        return sources[choice % len(sources)] if sources else None

    @rule(account=st.sampled_from(ACCOUNTS), tokens=st.tuples(st.integers(0, 90), st.integers(0, 150)))
    def reserve(self, account: str, tokens: tuple[int, int]) -> None:
        self.world.reserve(account, [1, *tokens, 1000, 0])

    @rule(choice=_SOME, share=st.integers(0, 100), twice=st.booleans())
    def settle(self, choice: int, share: int, twice: bool) -> None:
        if source := self._one(choice):
            estimate = self.world.held[source].amounts
            self.world.settle(source, [amount * share // 100 for amount in estimate], twice=twice)

    @rule(choice=_SOME)
    def refund(self, choice: int) -> None:
        if source := self._one(choice):
            self.world.refund(source)

    @rule(choice=_SOME)
    def crash(self, choice: int) -> None:
        if source := self._one(choice):
            self.world.crash(source)

    @rule()
    def sweep(self) -> None:
        self.world.sweep()

    @rule()
    def lift(self) -> None:
        self.world.lift()

    @rule()
    def limit_again(self) -> None:
        self.world.limit_again()

    @rule(seconds=st.one_of(st.floats(0, 5), st.floats(0, 90), st.sampled_from([60.0, 61.0, 3599.0, 3600.0, 86400.0])))
    def wait(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @invariant()
    def holds(self) -> None:
        self.world.check()
        assert (self.world.overshoot, self.world.disagreements) == (0, 0)

    def teardown(self) -> None:
        self.world.finish()
        assert (self.world.leaks, self.world.overshoot, self.world.disagreements) == (0, 0, 0)


def run(examples: int) -> None:
    quick: Any = settings(
        max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck),
        database=None,
    )  # fmt: skip
    run_state_machine_as_test(Admission, settings=quick)


def test_interleavings_neither_leak_nor_overshoot() -> None:
    run(40)


@pytest.mark.slow
def test_thousand_interleavings_neither_leak_nor_overshoot() -> None:
    run(1000)
