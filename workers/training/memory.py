"""How much memory a training step or an inference would take at its peak, found without running it.

python -m workers.training.memory --recipe v1.sst2 --length 16384 --batch 8 [--inference] [--free-gb 8]

The model is run with fake tensors: shapes are computed, numbers are not. Every storage that comes to life is
counted until it is let go, in the forward and in the backward pass, so checkpointing and the kind of attention tell by
themselves. The estimate knows nothing of the allocator's waste and of kernels' workspace; benchmarks/preflight.py
compares it with what processes took.
"""

from __future__ import annotations

import argparse
import sys
import weakref
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from workers.zoo.trained import ATTENTIONS
from workers.zoo.v1_dynamic_attention import Classifier, V1Config

from .classify import ClassifyConfig
from .recipe import load_recipe

GB = 2**30
_ADAM = 3  # beside each weight: its gradient and two moments
_KEPT = 1.25  # training holds up to 1.22 times what is alive (benchmarks.preflight): allocator, libraries


class LivePeak(TorchDispatchMode):
    """Counts the storages that are made within it. `peak` is in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: Any) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self.live -= size


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to do it."""

    attention: str
    length: int
    batch: int
    checkpointing: bool = False
    train: bool = True

    def __str__(self) -> str:
        kept = ", checkpointing" if self.checkpointing else ""
        return f"{self.attention} attention, batch {self.batch}, {self.length:,} tokens{kept}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes at the peak."""

    plan: Plan
    weights: int  # with gradients and moments when it trains
    activations: int

    @property
    def total(self) -> int:
        alive = self.weights + self.activations
        return int(alive * _KEPT) if self.plan.train else alive


def estimate(config: V1Config, plan: Plan) -> Estimate:
    """Of one step of the plan. Takes seconds, and no memory to speak of: layers are alike, so that two and three of
    them tell what all take."""
    two, three = (_peak(replace(config, layers=layers), plan) for layers in (2, 3))
    more = (config.layers - 2) * (three - two)
    with torch.device("meta"):
        weights = sum(weight.nbytes for weight in Classifier(config, ATTENTIONS[plan.attention]).parameters())
    return Estimate(plan, weights * (1 + _ADAM) if plan.train else weights, max(two, two + more))


def _peak(config: V1Config, plan: Plan) -> int:
    """Bytes that are alive at once beside the weights."""
    with FakeTensorMode():
        model = Classifier(config, ATTENTIONS[plan.attention]).train(plan.train)
        model.encoder.checkpointing = plan.checkpointing
        ids = torch.zeros(plan.batch, plan.length, dtype=torch.long)
        return _step_peak(model, ids) if plan.train else _forward_peak(model, ids)


def _step_peak(model: nn.Module, ids: Tensor) -> int:
    """Of the forward and the backward pass. Gradients of weights stand with the weights: only one is asked for."""
    with LivePeak() as counted:
        logits, _ = model(ids, torch.ones_like(ids))
        torch.autograd.grad(logits.sum(), next(model.parameters()))
    return counted.peak


def _forward_peak(model: nn.Module, ids: Tensor) -> int:
    with LivePeak() as counted, torch.no_grad():
        model(ids, torch.ones_like(ids))
    return counted.peak


def alternatives(plan: Plan) -> list[Plan]:
    """Cheaper ways to the same, those that change least first."""
    kept = replace(plan, checkpointing=plan.train)
    batches = [plan.batch >> shift for shift in range(1, plan.batch.bit_length())]
    ways = [kept, replace(plan, attention="dynamic"), *(replace(plan, batch=batch) for batch in batches)]
    ways += [replace(kept, attention="dynamic"), *(replace(kept, batch=batch) for batch in batches)]
    ways.append(replace(kept, attention="dynamic", batch=1))
    return [way for way in dict.fromkeys(ways) if way != plan]


def advice(config: V1Config, plan: Plan, free: int) -> tuple[Estimate, list[Estimate]]:
    """What the plan takes and, when that is more than `free` bytes, the first three ways that fit."""
    asked = estimate(config, plan)
    if asked.total <= free:
        return asked, []
    fitting = (one for one in map(partial(estimate, config), alternatives(plan)) if one.total <= free)
    return asked, list(islice(fitting, 3))


def require(config: V1Config, plan: Plan, free: int) -> None:
    """Raises MemoryError that says what would fit."""
    asked, fitting = advice(config, plan, free)
    if asked.total > free:
        raise MemoryError(sentence(asked, fitting, free))


def sentence(asked: Estimate, fitting: list[Estimate], free: int) -> str:
    needs = f"{asked.plan} needs about {asked.total / GB:.1f} GB; {free / GB:.1f} GB are free."
    if not fitting:
        return f"{needs} No change of batch, checkpointing or attention makes it fit: shorten the texts."
    return f"{needs} What fits: " + "; ".join(f"{one.plan} ({one.total / GB:.1f} GB)" for one in fitting) + "."


def free_memory() -> int:
    """Bytes that this process may still take."""
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":") for line in file)
    return int(fields["MemAvailable"].split()[0]) * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description="Says what a step would take, and what would fit.")
    parser.add_argument("--recipe", required=True, help="such as v1.sst2")
    parser.add_argument("--length", type=int, default=0, help="tokens; of the recipe when left out")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--inference", action="store_true")
    parser.add_argument("--free-gb", type=float, default=0, help="what may be taken; what is free when left out")
    arguments = parser.parse_args()
    try:
        config: ClassifyConfig = load_recipe(arguments.recipe)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    sizes = V1Config(vocab_size=config.vocab_size, labels=2, **config.model)
    plan = Plan(config.attention, arguments.length or config.longest, arguments.batch or config.options.batch_size,
                config.options.checkpointing, not arguments.inference)  # fmt: skip
    free = int(arguments.free_gb * GB) or free_memory()
    asked, fitting = advice(sizes, plan, free)
    if asked.total > free:
        print(sentence(asked, fitting, free))
        return 2
    print(f"{plan} needs about {asked.total / GB:.2f} GB; {free / GB:.1f} GB are free.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
