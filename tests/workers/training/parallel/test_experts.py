"""Experts that rows travel to, in a group of one process: what autograd makes of the plain ones, chunk by chunk."""

import time

import pytest
import torch
import torch.distributed as dist

from workers.training.parallel.experts import ParallelExperts, Travel
from workers.training.parallel.link import EmulatedLink, Link, NoLink
from workers.zoo.v3_moe import Experts, V3Config

CONFIG = V3Config(vocab_size=2, width=8, heads=2, kv_heads=1, hidden=6)


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    store = tmp_path_factory.mktemp("store") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield dist.group.WORLD
    dist.destroy_process_group()


def experts():
    torch.manual_seed(0)
    made = Experts(CONFIG).double()
    for value in made.parameters():
        torch.nn.init.normal_(value, std=0.5)
    return made


COUNTS = {"even": [3] * 8, "some": [9, 0, 1, 0, 0, 12, 2, 0], "one": [0, 0, 0, 24, 0, 0, 0, 0]}


@pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("chunks", [1, 2, 3, 8])
@pytest.mark.parametrize(("overlaps", "keeps"), [(True, True), (False, True), (True, False)])
def test_outputs_and_gradients_are_those_of_plain_experts(group, counts, chunks, overlaps, keeps):
    plain, counts = experts(), torch.tensor(counts)
    ours = ParallelExperts(plain, Travel(group, Link(), chunks, overlaps, keeps)).double()
    rows = torch.randn(24, CONFIG.width, dtype=torch.float64, requires_grad=True)
    results = [model(rows, counts) for model in (plain, ours)]
    torch.testing.assert_close(*results)

    found = [
        torch.autograd.grad(out.sin().sum(), [rows, *model.parameters()])
        for out, model in zip(results, (plain, ours), strict=True)
    ]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_are_slopes(group):
    ours = ParallelExperts(experts(), Travel(group, Link()))
    counts = torch.tensor([2, 0, 1, 0, 0, 2, 0, 0])
    rows = torch.randn(5, CONFIG.width, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(lambda x: ours(x, counts), (rows,))


def test_an_emulated_link_delivers_late_and_one_transfer_after_the_other(group):
    link = EmulatedLink(latency=0.05, bandwidth=1e9)
    values = torch.ones(4)
    begins = time.monotonic()
    for pending in [link.all_reduce(values, group) for _ in range(3)]:
        pending.arrived()

    assert 0.05 <= time.monotonic() - begins < 0.5  # they share the latency, as they were sent at once
    assert values.tolist() == [1.0] * 4


def test_without_a_link_everything_stays_where_it_is(group):
    rows, received = torch.arange(6.0).view(3, 2), torch.ones(4, 2)
    NoLink().all_to_all(received, rows, ([4], [3]), group).arrived()

    assert received.tolist() == [[0, 1], [2, 3], [4, 5], [0, 0]]
