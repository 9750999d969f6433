"""A mixture of experts in numbers: its parameters, and what each device of a mesh holds of it in training.

The standard library's arithmetic only, so that pages and trainers share it. Bytes follow from what
workers/training/parallel keeps, calibrated against measured peaks of small models (benchmarks/v3_planner.py).

Letters: C width, F hidden width of an expert, K picked, T tokens of a text, R rows of a micro-batch, L layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

_BUCKET_COPY = 4  # bytes of a gradient while it is summed
_LOGITS = 3  # as they are, their logarithms and their gradient, in fp32


@dataclass(frozen=True, slots=True)
class Sizes:
    """Fields of workers/zoo/v3_moe.py: V3Config that count."""

    vocab_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    experts: int = 8
    picked: int = 2
    shared: int = 0

    @property
    def head_width(self) -> int:
        return self.width // self.heads


@dataclass(frozen=True, slots=True)
class Layout:
    """How many processes along each axis."""

    dp: int = 1
    pp: int = 1
    ep: int = 1

    @property
    def processes(self) -> int:
        return self.dp * self.pp * self.ep

    @property
    def shares(self) -> int:
        """Parts that a batch is divided into."""
        return self.dp * self.ep


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be trained."""

    model: Sizes
    batch: int
    """Texts of a step, of all devices."""
    length: int
    bytes_a_value: int = 4
    """Of activations and of what travels: 4 for fp32, 2 for bf16."""
    bytes_a_parameter: tuple[int, int, int] = (4, 4, 8)
    """Weight, gradient, optimiser. With bf16 (2, 2, 12): weight and both moments in fp32 beside it."""


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


@lru_cache(maxsize=64)
def parameters(model: Sizes) -> Parameters:
    c = model.width
    beside = c * model.experts + 3 * c * model.hidden * model.shared + 2 * c
    experts = 3 * c * model.hidden * model.experts
    return Parameters(attention(model) + beside, experts, model.vocab_size * c, model.vocab_size * c + c)


def active(model: Sizes) -> int:
    """Parameters that a token is multiplied with; the table of tokens is only looked up."""
    found = parameters(model)
    return model.layers * (found.shared + found.experts * model.picked // model.experts) + found.head


def layers_of(model: Sizes, stages: int) -> list[int]:
    """Of each stage; the first ones get what is left over."""
    least, more = divmod(model.layers, stages)
    return [least + (stage < more) for stage in range(stages)]


def attention(model: Sizes) -> int:
    """Parameters of a layer's four matrices."""
    return 2 * model.width**2 + 2 * model.width * model.kv_heads * model.head_width


def values_a_token(model: Sizes, checkpointing: bool) -> float:
    """Numbers that one layer keeps for a token until its backward pass, with even loads."""
    c, narrow, rows = model.width, model.kv_heads * model.head_width, model.picked
    # In, normed before and after the weight, q, what was seen as it is and for the matrix after it; keys, values.
    looking = c if checkpointing else 6 * c + 2 * narrow
    routing = 3 * c + 4 * model.experts  # in, normed twice; scores
    experts = rows * (3 * c + (0 if checkpointing else 2 * model.hidden))  # given, given back, weighed; hidden
    shared = 0 if checkpointing else 4 * model.shared * model.hidden
    return looking + routing + experts + shared


def rows_of(job: Job, plan: Plan) -> int:
    """Texts of one micro-batch."""
    return job.batch // (plan.layout.shares * plan.micro_batches)


def undivided(job: Job, plan: Plan) -> str:
    """Which of pp, ep and micro_batches does not divide what it has to; empty when all do."""
    layout = plan.layout
    if layout.pp > job.model.layers:
        return "pp"
    if job.model.experts % layout.ep:
        return "ep"
    if plan.micro_batches < layout.pp or job.batch % (layout.shares * plan.micro_batches):
        return "micro_batches"
    return ""


def memory(job: Job, plan: Plan, overhead: float = 0.0) -> list[Memory]:
    """Of each stage."""
    return [_stage_memory(job, plan, stage, overhead) for stage in range(plan.layout.pp)]


def fullest(job: Job, plan: Plan, overhead: float = 0.0) -> Memory:
    """Of the stage that needs most."""
    stages = (_stage_memory(job, plan, stage, overhead) for stage in unlike_stages(job.model, plan.layout.pp))
    return max(stages, key=lambda one: one.total)


def unlike_stages(model: Sizes, stages: int) -> list[int]:
    """Both ends, and in between the first one of each number of layers: a later one holds at most as much."""
    return sorted({0, 1, model.layers % stages, stages - 1} & set(range(stages)))


def _stage_memory(job: Job, plan: Plan, stage: int, overhead: float) -> Memory:
    kept, experts = held(job.model, plan.layout, stage)
    count = kept + experts
    tokens = rows_of(job, plan) * job.length
    in_flight = min(plan.micro_batches, plan.layout.pp - stage)
    layers = layers_of(job.model, plan.layout.pp)[stage]
    activations = layers * tokens * values_a_token(job.model, plan.checkpointing) * job.bytes_a_value * in_flight
    if stage == plan.layout.pp - 1:
        activations += _LOGITS * tokens * job.model.vocab_size * 4
    is_alone = plan.layout.shares == 1
    weight, gradient, optimiser = (size * count for size in job.bytes_a_parameter)
    return Memory(weight, gradient, optimiser, activations, 0 if is_alone else _BUCKET_COPY * count, overhead)


def held(model: Sizes, layout: Layout, stage: int) -> tuple[int, int]:
    """Parameters of a device that all of its stage have, and of experts."""
    found, layers = parameters(model), layers_of(model, layout.pp)[stage]
    ends = found.embed * (stage == 0) + found.head * (stage == layout.pp - 1)
    return layers * found.shared + ends, layers * found.experts // layout.ep
