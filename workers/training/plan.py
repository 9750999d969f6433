"""Which mesh a mixture of experts fits on, what each device's memory holds, and how long a step would take.

python -m workers.training.plan --example 100b
python -m workers.training.plan --recipe v3.shakespeare --devices 8 --memory-gb 2 --tflops 0.02 --link-gbps 1

A plan, never a run: bytes follow from what workers/training/parallel keeps, calibrated against measured peaks of small
models (benchmarks/v3_planner.py); seconds follow from the rates that are given, with nothing lost but what is named.

Letters: C width, F hidden width of an expert, K picked, T tokens of a text, R rows of a micro-batch, L layers.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from workers.training.parallel.mesh import Layout
from workers.zoo.v3_moe import V3Config

from .moe import MoeConfig
from .recipe import load_recipe

_BUCKET_COPY = 4  # bytes of a gradient while it is summed
_LOGITS = 3  # as they are, their logarithms and their gradient, in fp32


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be trained."""

    model: V3Config
    batch: int
    """Texts of a step, of all devices."""
    length: int
    bytes_a_value: int = 4
    """Of activations and of what travels: 4 for fp32, 2 for bf16."""
    bytes_a_parameter: tuple[int, int, int] = (4, 4, 8)
    """Weight, gradient, optimiser. With bf16 (2, 2, 12): weight and both moments in fp32 beside it."""


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


@dataclass(frozen=True, slots=True)
class Plan:
    layout: Layout
    micro_batches: int
    checkpointing: bool = False
    chunks: int = 2


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the device of one stage."""

    weights: float
    gradients: float
    optimiser: float
    activations: float
    transfers: float
    overhead: float

    @property
    def total(self) -> float:
        """Gradients are copied to be summed when all activations are gone."""
        kept = self.weights + self.gradients + self.optimiser + self.overhead
        return kept + max(self.activations, self.transfers)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one layer, and around the layers."""

    shared: int  # attention, norms, router, shared experts: on every device of a stage
    experts: int  # divided by ep
    embed: int
    head: int

    def total(self, layers: int) -> int:
        return layers * (self.shared + self.experts) + self.embed + self.head


def parameters(model: V3Config) -> Parameters:
    c = model.width
    beside = c * model.experts + 3 * c * model.hidden * model.shared + 2 * c
    experts = 3 * c * model.hidden * model.experts
    return Parameters(_attention(model) + beside, experts, model.vocab_size * c, model.vocab_size * c + c)


def active(model: V3Config) -> int:
    """Parameters that a token is multiplied with; the table of tokens is only looked up."""
    found = parameters(model)
    return model.layers * (found.shared + found.experts * model.picked // model.experts) + found.head


def layers_of(model: V3Config, stages: int) -> list[int]:
    """Of each stage; the first ones get what is left over."""
    least, more = divmod(model.layers, stages)
    return [least + (stage < more) for stage in range(stages)]


def values_a_token(model: V3Config, checkpointing: bool) -> float:
    """Numbers that one layer keeps for a token until its backward pass, with even loads."""
    c, narrow, rows = model.width, model.kv_heads * model.head_width, model.picked
    # In, normed before and after the weight, q, what was seen as it is and for the matrix after it; keys, values.
    attention = c if checkpointing else 6 * c + 2 * narrow
    routing = 3 * c + 4 * model.experts  # in, normed twice; scores
    experts = rows * (3 * c + (0 if checkpointing else 2 * model.hidden))  # given, given back, weighed; hidden
    shared = 0 if checkpointing else 4 * model.shared * model.hidden
    return attention + routing + experts + shared


def rows_of(job: Job, plan: Plan) -> int:
    """Texts of one micro-batch."""
    return job.batch // (plan.layout.shares * plan.micro_batches)


def memory(job: Job, plan: Plan, overhead: float = 0.0) -> list[Memory]:
    """Of each stage."""
    return [_stage_memory(job, plan, stage, overhead) for stage in range(plan.layout.pp)]


def _stage_memory(job: Job, plan: Plan, stage: int, overhead: float) -> Memory:
    held, experts = _held(job.model, plan.layout, stage)
    count = held + experts
    tokens = rows_of(job, plan) * job.length
    in_flight = min(plan.micro_batches, plan.layout.pp - stage)
    layers = layers_of(job.model, plan.layout.pp)[stage]
    activations = layers * tokens * values_a_token(job.model, plan.checkpointing) * job.bytes_a_value * in_flight
    if stage == plan.layout.pp - 1:
        activations += _LOGITS * tokens * job.model.vocab_size * 4
    is_alone = plan.layout.shares == 1
    weight, gradient, optimiser = (size * count for size in job.bytes_a_parameter)
    return Memory(weight, gradient, optimiser, activations, 0 if is_alone else _BUCKET_COPY * count, overhead)


def _held(model: V3Config, layout: Layout, stage: int) -> tuple[int, int]:
    """Parameters of a device that all of its stage have, and of experts."""
    found, layers = parameters(model), layers_of(model, layout.pp)[stage]
    ends = found.embed * (stage == 0) + found.head * (stage == layout.pp - 1)
    return layers * found.shared + ends, layers * found.experts // layout.ep


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
    return Volume(sent, between, max(_summed(job, plan, stage) for stage in range(layout.pp)))


def _summed(job: Job, plan: Plan, stage: int) -> float:
    held, experts = _held(job.model, plan.layout, stage)
    size = job.bytes_a_parameter[1]
    return size * (held * _ring(plan.layout.shares) + experts * _ring(plan.layout.dp))


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
    again = look + 2 * _attention(model) + 4 * model.width * model.hidden * model.picked if plan.checkpointing else 0
    layer = 6 * found.shared + 3 * look + again
    tokens = job.batch // plan.layout.shares * job.length
    return tokens * (max(layers_of(model, plan.layout.pp)) * layer + 6 * found.head / plan.layout.pp) + _expert_flops(
        job, plan
    )


def _expert_flops(job: Job, plan: Plan) -> float:
    model, tokens = job.model, job.batch // plan.layout.shares * job.length
    met = parameters(model).experts * model.picked // model.experts
    return 6.0 * tokens * max(layers_of(model, plan.layout.pp)) * met


def _attention(model: V3Config) -> int:
    """Parameters of a layer's four matrices."""
    return 2 * model.width**2 + 2 * model.width * model.kv_heads * model.head_width


@dataclass(frozen=True, slots=True)
class Row:
    """One plan and what comes of it."""

    plan: Plan
    memory: list[Memory]
    seconds: Seconds
    volume: Volume
    fits: bool

    @property
    def peak(self) -> Memory:
        return max(self.memory, key=lambda one: one.total)


def plans(job: Job, cluster: Cluster) -> list[Row]:
    """All that the trainer can do with all devices: those that fit first, then the fastest."""
    rows = [_row(job, cluster, plan) for plan in _possible(job, cluster.devices)]
    return sorted(rows, key=lambda row: (not row.fits, row.seconds.total if row.fits else row.peak.total))


def _row(job: Job, cluster: Cluster, plan: Plan) -> Row:
    held = memory(job, plan, cluster.overhead)
    fits = max(one.total for one in held) <= cluster.memory
    return Row(plan, held, seconds(job, plan, cluster), volume(job, plan), fits)


def _possible(job: Job, devices: int) -> Iterator[Plan]:
    for ep, pp in product(_divisors(job.model.experts), range(1, job.model.layers + 1)):
        dp, rest = divmod(devices, ep * pp)
        if rest or job.batch % (dp * ep):
            continue
        for parts, checkpointing in product(_divisors(job.batch // (dp * ep)), (False, True)):
            if parts >= pp:
                yield Plan(Layout(dp, pp, ep), parts, checkpointing, min(2, job.model.experts // ep))


def _divisors(number: int) -> list[int]:
    return [one for one in range(1, number + 1) if number % one == 0]


EXAMPLES: dict[str, tuple[Job, Cluster]] = {
    # The article's size on its 128 nodes, with eight devices of 80 GB each, as they are sold.
    "100b": (
        Job(V3Config(128_000, width=4096, layers=48, heads=32, kv_heads=8, hidden=20_736, context=4096), 4096, 4096,
            bytes_a_value=2, bytes_a_parameter=(2, 2, 12)),
        Cluster(1024, 80e9, 400e12, 50e9, overhead=3e9),
    ),
}  # fmt: skip


def of_recipe(config: MoeConfig) -> Job:
    return Job(config.sizes, config.options.batch_size, config.length)


def as_dict(job: Job, row: Row) -> dict[str, Any]:
    return {
        **asdict(row.plan.layout), "micro_batches": row.plan.micro_batches, "rows": rows_of(job, row.plan),
        "checkpointing": row.plan.checkpointing, "fits": row.fits,
        "memory_gb": {name: round(value / 1e9, 3) for name, value in asdict(row.peak).items()},
        "total_gb": round(row.peak.total / 1e9, 3), "bubble": round(bubble(row.plan), 4),
        "sent_gb": {name: round(value / 1e9, 4) for name, value in asdict(row.volume).items()},
        "seconds": {name: round(value, 4) for name, value in asdict(row.seconds).items()},
        "seconds_total": round(row.seconds.total, 4),
    }  # fmt: skip


def _table(job: Job, rows: list[Row]) -> Iterator[str]:
    yield "dp  pp ep  parts x rows  again  GB (weights gradients optimiser activations)  bubble  sent GB  s/step"
    for row in rows:
        layout, held, again = row.plan.layout, row.peak, "yes" if row.plan.checkpointing else "no"
        parts = " ".join(f"{one / 1e9:.1f}" for one in (held.weights, held.gradients, held.optimiser, held.activations))
        sent = sum(asdict(row.volume).values()) / 1e9
        yield (
            f"{layout.dp:<3} {layout.pp:<2} {layout.ep:<2} {row.plan.micro_batches:>5} x {rows_of(job, row.plan):<5} "
            f"{again:<5} {held.total / 1e9:>7.2f} ({parts}) {bubble(row.plan):>7.1%} "
            f"{sent:>8.2f} {row.seconds.total:>8.3f}{'' if row.fits else '  does not fit'}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Plans the training of a mixture of experts. Nothing is run.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--example", choices=sorted(EXAMPLES))
    what.add_argument("--recipe", help="such as v3.shakespeare")
    parser.add_argument("--devices", type=int, help="how many")
    parser.add_argument("--memory-gb", type=float, help="of a device")
    parser.add_argument("--tflops", type=float, help="that a device reaches")
    parser.add_argument("--link-gbps", type=float, help="gigabits a second of a device's link")
    parser.add_argument("--best", type=int, default=5, help="how many plans to show")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        job, cluster = _asked(arguments)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    rows = plans(job, cluster)[: arguments.best]
    if arguments.json:
        print(json.dumps([as_dict(job, row) for row in rows], indent=1))
        return 0
    found = parameters(job.model).total(job.model.layers)
    print(f"A plan, not a run: {found / 1e9:.3g} billion parameters, {active(job.model) / 1e9:.3g} active, "
          f"{cluster.devices} devices of {cluster.memory / 1e9:.3g} GB.")  # fmt: skip
    print("\n".join(_table(job, rows)))
    return 0


def _asked(arguments: argparse.Namespace) -> tuple[Job, Cluster]:
    """Raises ValueError."""
    job, cluster = EXAMPLES[arguments.example or "100b"]
    if arguments.recipe:
        job, cluster = of_recipe(load_recipe(arguments.recipe)), Cluster(1, 8e9, 20e9, 1e9)
    given = {
        "devices": arguments.devices, "memory": arguments.memory_gb and arguments.memory_gb * 1e9,
        "flops": arguments.tflops and arguments.tflops * 1e12,
        "bandwidth": arguments.link_gbps and arguments.link_gbps * 1e9 / 8,
    }  # fmt: skip
    return job, replace(cluster, **{name: value for name, value in given.items() if value})


if __name__ == "__main__":
    sys.exit(main())
