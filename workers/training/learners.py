"""What can learn a task from a few examples: V5 and those that it is compared with, all on one harness.

- Finn et al. 2017, MAML, arXiv:1703.03400, of first and of second order.
- Raghu et al. 2020, ANIL, arXiv:1909.09157: gradients to the head alone.
- Snell et al. 2017, prototypical networks, arXiv:1703.05175.
- Fine-tuning: one network for all tasks, all of whose weights go on from there.

A learner is a module whose `adapt` makes of a task's examples what the task has of its own, and whose `predict` answers
with it. Both read one task, and are mapped over tasks with torch.func.vmap. The outer gradient goes through `adapt`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from workers.zoo.v5_meta_lora import Adapter, Base, Head, MetaLoRA, nearest, prototypes

Loss = Callable[[Tensor, Tensor], Tensor]  # of outputs and what is wanted, both [N, K]
Weights = dict[str, Tensor]

_SHARP = 10.0  # of squared distances at first, as in V5


def descend(loss: Callable[[Any], Tensor], start: Any, rates: Any, steps: int, is_second_order: bool) -> Any:
    """So many gradient steps from `start`, a tree of tensors; `rates` is a number or a tree like it. Without the second
    order an outer gradient takes the steps' own gradients for constants."""
    found = start
    for _ in range(steps):
        slopes = grad(loss)(found)
        if not is_second_order:
            slopes = tree_map(lambda slope: slope.detach(), slopes)
        if isinstance(rates, float):
            found = tree_map(lambda value, slope: value - rates * slope, found, slopes)
        else:
            found = tree_map(lambda value, slope, rate: value - rate * slope, found, slopes, rates)
    return found


class Learner(nn.Module):
    def adapt(self, x: Tensor, y: Tensor, steps: int) -> Any:
        """Of the examples [N, ...] and [N, K]."""
        raise NotImplementedError

    def predict(self, adapted: Any, x: Tensor) -> Tensor:
        """[N, K]"""
        raise NotImplementedError


class RankSpace(Learner):
    """V5. The ablations: without the embedding every task gets what its zero gets, which is learned; without modulation
    the gradients of all ranks go at `rate`."""

    def __init__(self, model: MetaLoRA, loss: Loss, rate: float, *, is_second_order: bool, has_embedding: bool,
                 is_modulated: bool) -> None:  # fmt: skip
        super().__init__()
        self.model, self.loss, self.rate, self.is_second_order = model, loss, rate, is_second_order
        self.has_embedding, self.is_modulated = has_embedding, is_modulated

    def adapt(self, x: Tensor, y: Tensor, steps: int) -> Adapter:
        embedding = self.model.embed(x, y)
        said = self.model.modulation(embedding if self.has_embedding else torch.zeros_like(embedding))
        start = Adapter(said.s0, self.model.head(x, y, said.s0))
        ranks = said.rate * said.gate if self.is_modulated else torch.full_like(said.rate, self.rate)
        head = self.model.head_rate.exp() if self.is_modulated else torch.tensor(self.rate)
        return descend(lambda adapter: self.loss(self.model.predict(x, adapter), y), start,
                       Adapter(ranks, Head(head, head)), steps, self.is_second_order)  # fmt: skip

    def predict(self, adapted: Adapter, x: Tensor) -> Tensor:
        return self.model.predict(x, adapted)


class Network(nn.Module):
    """The base without adapters, and a head that begins alike for every task."""

    def __init__(self, base: Base, outputs: int) -> None:
        super().__init__()
        self.base, self.head = base, nn.Linear(base.features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.head(self.base(x))
        return outputs


class MAML(Learner):
    """Gradients to all weights whose names begin with `adapts`."""

    def __init__(self, network: Network, loss: Loss, rate: float, *, is_second_order: bool, adapts: str = "") -> None:
        super().__init__()
        self.network, self.loss, self.rate = network, loss, rate
        self.is_second_order, self.adapts = is_second_order, adapts

    def adapt(self, x: Tensor, y: Tensor, steps: int) -> Weights:
        start = {name: one for name, one in self.network.named_parameters() if name.startswith(self.adapts)}
        return descend(lambda weights: self.loss(self.predict(weights, x), y), start, self.rate, steps,
                       self.is_second_order)  # fmt: skip

    def predict(self, adapted: Weights, x: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self.network, adapted, (x,))
        return outputs


class Prototypes(Learner):
    """Nothing is learned of a task but the means of its classes."""

    def __init__(self, base: Base) -> None:
        super().__init__()
        self.base, self.sharpness = base, nn.Parameter(torch.tensor(_SHARP / base.features).log())

    def adapt(self, x: Tensor, y: Tensor, steps: int) -> Head:
        return nearest(prototypes(self.base(x), y), self.sharpness.exp())

    def predict(self, adapted: Head, x: Tensor) -> Tensor:
        return adapted(self.base(x))


class FineTuning(Learner):
    """All weights go on by gradients, from those of one network that was trained on everything at once, without tasks:
    `joint` is what it learns. Of a class's first weights the mean of its examples is the best that is known; a
    regression goes on with the head that it has."""

    def __init__(self, base: Base, outputs: int, loss: Loss, rate: float, *, is_classifying: bool) -> None:
        super().__init__()
        self.network, self.loss, self.rate, self.is_classifying = Network(base, outputs), loss, rate, is_classifying

    def joint(self, x: Tensor) -> Tensor:
        """[N, ...] to logits of all classes of the data, or values."""
        outputs: Tensor = self.network(x)
        return outputs

    def adapt(self, x: Tensor, y: Tensor, steps: int) -> tuple[Weights, Head]:
        head = Head(self.network.head.weight, self.network.head.bias)
        if self.is_classifying:
            head = nearest(prototypes(self.network.base(x), y), torch.tensor(_SHARP / self.network.base.features))
        start = dict(self.network.base.named_parameters()), head
        return descend(lambda own: self.loss(self.predict(own, x), y), start, self.rate, steps, False)

    def predict(self, adapted: tuple[Weights, Head], x: Tensor) -> Tensor:
        weights, head = adapted
        return head(functional_call(self.network.base, weights, (x,)))


def squares(outputs: Tensor, wanted: Tensor) -> Tensor:
    return F.mse_loss(outputs, wanted)


def surprise(outputs: Tensor, wanted: Tensor) -> Tensor:
    return F.cross_entropy(outputs, wanted)
