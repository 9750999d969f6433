"""Which meshes a mixture of experts can be trained on, what fits, and how long a step would take.

A plan, never a run: seconds follow from the rates that are given, with even loads and nothing lost but what is named.
No plan's seconds were compared with a run; CALIBRATION is what was measured of its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import isqrt
from typing import NamedTuple

from contracts.mixture import (
    Job,
    Layout,
    Memory,
    Plan,
    Sizes,
    attention,
    fullest,
    held,
    layers_of,
    parameters,
    rows_of,
    unlike_stages,
)


@dataclass(frozen=True, slots=True)
class Cluster:
    devices: int
    memory: float
    """Bytes of a device."""
    flops: float
    """A second, of a device, that a large product really reaches."""
    bandwidth: float
    """Bytes a second that a device sends, and receives at once."""
    latency: float = 20e-6
    """Seconds of a transfer."""
    overhead: float = 0.0
    """Bytes of a process before it has a model."""


def bubble(plan: Plan) -> float:
    """Share of a step in which a stage of 1F1B waits for the others."""
    return (plan.layout.pp - 1) / (plan.micro_batches + plan.layout.pp - 1)


@dataclass(frozen=True, slots=True)
class Volume:
    """Bytes that the busiest device sends in a step."""

    all_to_all: float
    stages: float
    gradients: float


def volume(job: Job, plan: Plan) -> Volume:
    layout, model = plan.layout, job.model
    tokens = rows_of(job, plan) * job.length * plan.micro_batches  # of one device
    layers = max(layers_of(model, layout.pp))
    away = (layout.ep - 1) / layout.ep
    row = model.width * job.bytes_a_value
    sent = 4 * tokens * model.picked * row * away * layers  # there and back, forward and backward
    between = 0.0 if layout.pp == 1 else tokens * row * (2 if layout.pp > 2 else 1)
    return Volume(sent, between, max(_summed(job, plan, stage) for stage in unlike_stages(model, layout.pp)))


def _summed(job: Job, plan: Plan, stage: int) -> float:
    kept, experts = held(job.model, plan.layout, stage)
    size = job.bytes_a_parameter[1]
    return size * (kept * _ring(plan.layout.shares) + experts * _ring(plan.layout.dp))


def _ring(processes: int) -> float:
    """What a process sends in an all-reduce, by what is summed."""
    return 2 * (processes - 1) / processes


@dataclass(frozen=True, slots=True)
class Seconds:
    compute: float
    bubble: float
    all_to_all: float
    """What chunks do not hide behind the experts' products."""
    stages: float
    gradients: float

    @property
    def total(self) -> float:
        return self.compute + self.bubble + self.all_to_all + self.stages + self.gradients


def seconds(job: Job, plan: Plan, cluster: Cluster) -> Seconds:
    """Of a step with even loads."""
    stages, sent = plan.layout.pp, volume(job, plan)
    compute = flops(job, plan) / cluster.flops
    layers = max(layers_of(job.model, stages))
    transfers = 4 * layers * plan.micro_batches * plan.chunks if plan.layout.ep > 1 else 0
    travel = sent.all_to_all / cluster.bandwidth + transfers * cluster.latency
    # The first chunk has nothing to hide behind; the others hide behind products, as long as those take.
    hidden = min(travel, _expert_flops(job, plan) / cluster.flops) * (plan.chunks - 1) / plan.chunks
    hops = 2 * (plan.micro_batches + stages - 1) if stages > 1 else 0
    return Seconds(
        compute, compute * (stages - 1) / plan.micro_batches, travel - hidden,
        sent.stages / cluster.bandwidth + hops * cluster.latency, sent.gradients / cluster.bandwidth,
    )  # fmt: skip


def flops(job: Job, plan: Plan) -> float:
    """Of a device in a step: six for each parameter and token, and attention. The head is told as if the stages shared
    it; stages of even time would give the last one fewer layers."""
    model, found = job.model, parameters(job.model)
    look = 2 * model.width * job.length  # products with keys and with values, of half of the places
    again = look + 2 * attention(model) + 4 * model.width * model.hidden * model.picked if plan.checkpointing else 0
    layer = 6 * found.shared + 3 * look + again
    tokens = job.batch // plan.layout.shares * job.length
    return tokens * (max(layers_of(model, plan.layout.pp)) * layer + 6 * found.head / plan.layout.pp) + _expert_flops(
        job, plan
    )


def _expert_flops(job: Job, plan: Plan) -> float:
    model, tokens = job.model, job.batch // plan.layout.shares * job.length
    met = parameters(model).experts * model.picked // model.experts
    return 6.0 * tokens * max(layers_of(model, plan.layout.pp)) * met


@dataclass(frozen=True, slots=True)
class Row:
    """One plan and what comes of it."""

    plan: Plan
    peak: Memory
    """Of the device that needs most."""
    seconds: Seconds
    volume: Volume
    fits: bool


def plans(job: Job, cluster: Cluster) -> list[Row]:
    """All that the trainer can do with all devices: those that fit first, then the fastest."""
    rows = [_row(job, cluster, plan) for plan in ways(job, cluster.devices)]
    return sorted(rows, key=lambda row: (not row.fits, row.seconds.total if row.fits else row.peak.total))


def _row(job: Job, cluster: Cluster, plan: Plan) -> Row:
    peak = fullest(job, plan, cluster.overhead)
    return Row(plan, peak, seconds(job, plan, cluster), volume(job, plan), peak.total <= cluster.memory)


def ways(job: Job, devices: int) -> Iterator[Plan]:
    """Every mesh of all devices, with each number of micro-batches, activations kept and computed again."""
    for ep, pp in product(_divisors(job.model.experts), _divisors(devices)):
        dp, rest = divmod(devices, ep * pp)
        if pp > job.model.layers or rest or job.batch % (dp * ep):
            continue
        for parts, checkpointing in product(_divisors(job.batch // (dp * ep)), (False, True)):
            if parts >= pp:
                yield Plan(Layout(dp, pp, ep), parts, checkpointing, min(2, job.model.experts // ep))


@lru_cache(maxsize=256)
def _divisors(number: int) -> list[int]:
    small = [one for one in range(1, isqrt(number) + 1) if number % one == 0]
    return small + [number // one for one in reversed(small) if one * one != number]


class Example(NamedTuple):
    job: Job
    cluster: Cluster


EXAMPLES = {
    # The article's size on its 128 nodes, with eight devices of 80 GB each, as they are sold.
    "100b": Example(
        Job(Sizes(128_000, width=4096, layers=48, heads=32, kv_heads=8, hidden=20_736), 4096, 4096,
            bytes_a_value=2, bytes_a_parameter=(2, 2, 12)),
        Cluster(1024, 80e9, 400e12, 50e9, overhead=3e9),
    ),
    # The recipe v3.shakespeare on eight processes of an ordinary machine.
    "shakespeare": Example(
        Job(Sizes(257, width=128, layers=4, heads=4, kv_heads=2, hidden=128), 8, 256),
        Cluster(8, 2e9, 20e9, 1e9, overhead=0.32e9),
    ),
}  # fmt: skip


class Compared(NamedTuple):
    """Megabytes of the process that needs most, and of them what was there before the model."""

    name: str
    plan: Plan
    measured: float
    planned: float
    before: float

    @property
    def error(self) -> float:
        return self.planned / self.measured - 1

    @property
    def error_of_model(self) -> float:
        """Of what the model adds."""
        return (self.planned - self.before) / (self.measured - self.before) - 1


# benchmarks/results/v3_plan.json; a test holds them to it.
CALIBRATION = (
    Compared("one", Plan(Layout(), 2), 798.2, 750.6, 317.4),
    Compared("one, computed again", Plan(Layout(), 2, checkpointing=True), 686.9, 633.1, 317.3),
    Compared("copies", Plan(Layout(dp=2), 1), 741.4, 750.8, 317.6),
    Compared("stages", Plan(Layout(pp=2), 4), 687.8, 653.2, 317.6),
    Compared("experts", Plan(Layout(ep=2), 2), 703.9, 650.2, 317.6),
    Compared(
        "stages and experts, computed again", Plan(Layout(pp=2, ep=2), 2, checkpointing=True), 564.2, 524.5, 317.8
    ),
)
