"""Estimates of memory: exact where it can be counted by hand, in the right order where it cannot."""

import pytest
import torch
from torch import nn

from workers.training import memory
from workers.training.memory import Plan, advice, alternatives, estimate, require
from workers.zoo.v1_dynamic_attention import V1Config

pytestmark = pytest.mark.unit
CONFIG = V1Config(vocab_size=100, labels=2, width=32, layers=4, heads=4, hidden=64, window=16, summaries=4, levels=3)


def test_live_peak_counts_what_is_alive_at_once() -> None:
    with memory.LivePeak() as counted:
        a = torch.zeros(1000)
        b = a + 1
        del a
        c = b * 2
        del b, c
    assert (counted.peak, counted.live) == (8000, 0)


def test_views_cost_nothing() -> None:
    with memory.LivePeak() as counted:
        torch.zeros(10, 100).t().reshape(100, 10).view(100, 10)[:50]
    assert counted.peak == 4000


def test_saved_activations_are_those_that_backward_needs() -> None:
    layers = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(5)))
    with memory.LivePeak() as counted:
        loss = layers(torch.zeros(100, 8)).sum()
    assert counted.live >= 5 * 100 * 8 * 4
    del loss


def test_layers_add_evenly() -> None:
    plan = Plan("full", 64, 2)
    whole = memory._peak(CONFIG, plan)
    assert estimate(CONFIG, plan).activations == pytest.approx(whole, rel=0.02)


def test_checkpointing_batch_and_range_take_less() -> None:
    long = Plan("eager", 1024, 2)
    asked = estimate(CONFIG, long).activations
    for cheaper in (
        Plan("eager", 1024, 2, checkpointing=True), Plan("eager", 1024, 1), Plan("dynamic", 1024, 2),
        Plan("eager", 1024, 2, train=False),
    ):  # fmt: skip
        assert estimate(CONFIG, cheaper).activations < asked, cheaper


def cost(config: V1Config, plan: Plan) -> memory.Estimate:
    """In place of the real one: a rule that can be seen."""
    one = 1000 if plan.attention == "dynamic" else 4000
    return memory.Estimate(plan, 100, plan.batch * one // (2 if plan.checkpointing else 1))


def test_what_does_not_fit_is_refused_with_what_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "estimate", cost)
    plan = Plan("eager", 1024, 4)
    asked, fitting = advice(CONFIG, plan, 10_125)
    assert asked.total == 20_125  # a quarter more than 16 100
    assert [one.plan for one in fitting] == [
        Plan("eager", 1024, 4, checkpointing=True), Plan("dynamic", 1024, 4), Plan("eager", 1024, 2),
    ]  # fmt: skip
    with pytest.raises(MemoryError, match=r"needs about .* What fits: eager attention, batch 4, 1,024 tokens, check"):
        require(CONFIG, plan, 10_125)
    with pytest.raises(MemoryError, match="shorten the texts"):
        require(CONFIG, plan, 500)
    require(CONFIG, plan, 20_125)


def test_alternatives_change_least_first_and_are_never_the_same() -> None:
    plan = Plan("full", 512, 4)
    ways = alternatives(plan)
    assert ways[0] == Plan("full", 512, 4, checkpointing=True)
    assert ways[1] == Plan("dynamic", 512, 4)
    assert plan not in ways
    assert len(ways) == len(set(ways))
    assert all(not way.checkpointing for way in alternatives(Plan("full", 512, 4, train=False)))
