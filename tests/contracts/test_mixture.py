"""What a mixture of experts holds: figures that one computes by hand."""

from dataclasses import replace

import pytest

from contracts.mixture import Job, Layout, Memory, Plan, Sizes, active, fullest, memory, parameters, values_a_token

pytestmark = pytest.mark.unit

MODEL = Sizes(vocab_size=10, width=8, layers=2, heads=2, kv_heads=1, hidden=4, experts=4)
JOB = Job(MODEL, batch=8, length=4)
PLAN = Plan(Layout(dp=1, pp=2, ep=2), micro_batches=2)


def test_parameters():
    found = parameters(MODEL)

    # queries and out 2 x 64, keys and values 2 x 32, router 32, norms 16; experts 4 x 3 x 32
    assert (found.shared, found.experts, found.embed, found.head) == (240, 384, 80, 88)
    assert found.total(2) == 1416
    assert active(MODEL) == 2 * (240 + 192) + 88


def test_memory_of_each_stage():
    # Kept a token: 6 x 8 + 2 x 4, 3 x 8 + 4 x 4 and 2 x (3 x 8 + 2 x 4); micro-batches of 2 texts of 4 tokens.
    first = Memory(2048, 2048, 4096, 160 * 8 * 4 * 2, 2048, 100)  # two on their way
    last = Memory(2080, 2080, 4160, 160 * 8 * 4 + 3 * 8 * 10 * 4, 2080, 100)

    assert memory(JOB, PLAN, 100) == [first, last]
    assert first.total == 2048 + 2048 + 4096 + 10_240 + 100


@pytest.mark.parametrize("layers", [6, 7, 9, 11, 12])
@pytest.mark.parametrize("vocabulary", [10, 5000])
@pytest.mark.parametrize("stages", [1, 2, 3, 5, 6])
def test_the_fullest_stage_is_the_fullest_of_all(layers: int, vocabulary: int, stages: int):
    job = replace(JOB, model=replace(MODEL, layers=layers, vocab_size=vocabulary))
    plan = Plan(Layout(pp=stages), micro_batches=8)

    assert fullest(job, plan, 100).total == max(one.total for one in memory(job, plan, 100))


def test_activations_that_are_computed_again_are_not_kept():
    assert values_a_token(MODEL, False) == 160
    assert values_a_token(MODEL, True) == 8 + 40 + 48
