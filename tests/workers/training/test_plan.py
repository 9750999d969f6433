"""The planner's figures are those that one computes by hand."""

import sys

import pytest
import torch

from workers.training import plan as planner
from workers.training.parallel.mesh import Layout
from workers.training.plan import EXAMPLES, Cluster, Job, Memory, Plan, Seconds, Volume
from workers.zoo.v3_moe import V3, V3Config

MODEL = V3Config(vocab_size=10, width=8, layers=2, heads=2, kv_heads=1, hidden=4, experts=4, context=4)
JOB = Job(MODEL, batch=8, length=4)
PLAN = Plan(Layout(dp=1, pp=2, ep=2), micro_batches=2)
CLUSTER = Cluster(devices=4, memory=20_000, flops=1e6, bandwidth=1e6, latency=0.0)


def test_parameters_are_those_of_the_model():
    found = planner.parameters(MODEL)

    # queries and out 2 x 64, keys and values 2 x 32, router 32, norms 16; experts 4 x 3 x 32
    assert (found.shared, found.experts, found.embed, found.head) == (240, 384, 80, 88)
    assert found.total(2) == sum(value.numel() for value in V3(MODEL).parameters()) == 1416
    assert planner.active(MODEL) == 2 * (240 + 192) + 88


def test_memory_of_each_stage():
    # Kept a token: 6 x 8 + 2 x 4, 3 x 8 + 4 x 4 and 2 x (3 x 8 + 2 x 4); micro-batches of 2 texts of 4 tokens.
    first = Memory(2048, 2048, 4096, 160 * 8 * 4 * 2, 2048, 100)  # two on their way
    last = Memory(2080, 2080, 4160, 160 * 8 * 4 + 3 * 8 * 10 * 4, 2080, 100)

    assert planner.memory(JOB, PLAN, 100) == [first, last]
    assert first.total == 2048 + 2048 + 4096 + 10_240 + 100


def test_activations_that_are_computed_again_are_not_kept():
    assert planner.values_a_token(MODEL, False) == 160
    assert planner.values_a_token(MODEL, True) == 8 + 40 + 48


def test_what_the_model_keeps_is_what_is_planned():
    """Measured on the tensors that autograd saves; the mixture of one process keeps a little more."""
    sizes = V3Config(vocab_size=10, width=64, layers=1, heads=2, kv_heads=1, hidden=96, context=32)
    torch.manual_seed(0)
    model, kept = V3(sizes), {}
    own = {value.untyped_storage().data_ptr() for value in [*model.parameters(), *model.buffers()]}

    def keep(value):
        if value.untyped_storage().data_ptr() not in own:
            kept[value.untyped_storage().data_ptr()] = value
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        model.layers[0](torch.randn(4, 32, 64, requires_grad=True))
    measured = sum(value.untyped_storage().nbytes() for value in kept.values()) / 4 / (4 * 32)

    activation = 2 * 2 * 96  # of the gate and its product, which experts on a mesh compute again
    assert planner.values_a_token(sizes, False) + activation == pytest.approx(measured, rel=0.1)


def test_the_bubble_is_what_stages_wait():
    assert planner.bubble(PLAN) == pytest.approx(1 / 3)
    assert planner.bubble(Plan(Layout(pp=4), 12)) == pytest.approx(3 / 15)
    assert planner.bubble(Plan(Layout(dp=4), 1)) == 0.0


def test_volume_of_the_busiest_device():
    # 16 tokens of 32 bytes: 4 journeys of 2 picks, half of them away; one neighbour; a sum of 328 over two devices.
    assert planner.volume(JOB, PLAN) == Volume(4 * 16 * 2 * 32 / 2, 16 * 32, 4 * 328)


def test_seconds_of_a_step():
    compute = 16 * (6 * 432 + 3 * 64 + 6 * 88 / 2) / 1e6
    found = planner.seconds(JOB, PLAN, CLUSTER)

    wanted = Seconds(compute, compute / 2, 0.002048 / 2, 0.000512, 0.001312)  # products hide the second chunk's journey
    assert vars_of(found) == pytest.approx(vars_of(wanted))


def vars_of(found):
    return {name: getattr(found, name) for name in found.__slots__}


def test_plans_that_fit_come_first_and_use_every_device():
    rows = planner.plans(JOB, CLUSTER)
    fitting = [row.fits for row in rows]

    assert fitting == sorted(fitting, reverse=True)
    assert {row.plan.layout.processes for row in rows} == {4}
    assert all(row.peak.total <= CLUSTER.memory for row in rows if row.fits)
    times = [row.seconds.total for row in rows if row.fits]
    assert times == sorted(times)
    assert all(row.plan.micro_batches >= row.plan.layout.pp for row in rows)


def test_the_example_is_a_hundred_billion_parameters_on_128_nodes():
    job, cluster = EXAMPLES["100b"]
    best = planner.plans(job, cluster)[0]

    assert planner.parameters(job.model).total(job.model.layers) == pytest.approx(100e9, rel=0.02)
    assert cluster.devices == 128 * 8
    assert best.fits
    assert best.plan.layout.processes == 1024


def test_the_command_says_that_it_is_a_plan(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["plan", "--example", "100b", "--best", "2"])
    assert planner.main() == 0
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].startswith("A plan, not a run: 101 billion parameters")
    assert len(lines) == 4


def test_the_command_plans_a_recipe_on_given_devices(monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["plan", "--recipe", "v3.shakespeare", "--devices", "8", "--memory-gb", "2", "--json"]
    )
    assert planner.main() == 0
    assert '"fits": true' in capsys.readouterr().out
