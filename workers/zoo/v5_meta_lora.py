"""Rank-space meta-LoRA: one base for all tasks, and for each task a short vector that says how strong each rank of its
low-rank adapters is.

- Hu et al. 2022, LoRA, arXiv:2106.09685: what adapts is of low rank. Here W + B diag(s) A, and only s is a task's own.
- Vuorio et al. 2019, MMAML, arXiv:1910.13616: an embedding of the task modulates the network before any gradient.
- Zaheer et al. 2017, Deep Sets, arXiv:1703.06114: what does not depend on the order of the examples.
- Zintgraf et al. 2019, CAVIA, arXiv:1810.03642, and Li et al. 2017, Meta-SGD, arXiv:1707.09835: gradients go to a few
  numbers beside the network, at rates that are learned.
- Triantafillou et al. 2020, Proto-MAML, arXiv:1903.03096: prototypes as the first weights of a linear layer.

A set encoder reads the examples through the base without adapters. From its embedding e come the strengths s0(e), which
need no gradient, and for whoever goes on with gradients a gate m(e) and a rate alpha(e) for each rank:

    s <- s - alpha(e) * m(e) * ds

s is an input of the network, one row for each example or one for all: many tasks share a batch, and in ONNX, which has
no gradients, a task is adapted by running graphs. Norms look at one example at a time, so none says anything else
beside others.

Letters: N examples, K outputs, D features, R ranks of all adapters together, E width of the embedding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_GROUPS = 8
_RATE = 0.1  # alpha at first
SHARP = 10.0  # what squared distances are multiplied by at first, over D


@dataclass(frozen=True, slots=True)
class V5Config:
    rank: int = 8
    """Of each layer's adapter; 0 has none: the plain network that others are compared on."""
    embedding: int = 64
    """E"""

    def __post_init__(self) -> None:
        if self.rank < 0 or self.embedding < 1:
            raise ValueError("rank must not be negative, and embedding at least 1")


@dataclass(frozen=True, slots=True)
class PicturesConfig:
    channels: tuple[int, ...] = (64, 64, 64, 64)
    """Of each layer; each halves the picture."""
    size: int = 28
    """Pixels a side."""

    def __post_init__(self) -> None:
        if not self.channels or any(count % _GROUPS for count in self.channels):
            raise ValueError(f"channels must be multiples of {_GROUPS}, and at least one")


@dataclass(frozen=True, slots=True)
class NumbersConfig:
    inputs: int = 1
    widths: tuple[int, ...] = (100, 100, 100)


class Adapted(nn.Module):
    """A layer with its adapter: y = W x + B (s * A x)."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, rank: int) -> None:
        super().__init__()
        self.layer = layer
        self.down = self.up = None
        if rank and isinstance(layer, nn.Conv2d):
            self.down = nn.Conv2d(layer.in_channels, rank, layer.kernel_size, layer.stride, layer.padding, bias=False)
            self.up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        elif rank and isinstance(layer, nn.Linear):
            self.down, self.up = (
                nn.Linear(layer.in_features, rank, bias=False),
                nn.Linear(rank, layer.out_features, bias=False),
            )

    def forward(self, x: Tensor, s: Tensor | None) -> Tensor:
        """s [rank] for all, or [N, rank] for each its own; none leaves the adapter out. For linear layers x is [N, C],
        or [N, T, C] where an example has T tokens."""
        plain: Tensor = self.layer(x)
        if s is None or self.down is None or self.up is None:
            return plain
        if isinstance(self.layer, nn.Conv2d):
            s = s[..., None, None]
        elif s.dim() == 2 and x.dim() == 3:
            s = s[:, None]
        return plain + self.up(s * self.down(x))


class Base(nn.Module):
    """Layers with adapters. `example` is the shape of one example, `features` is D."""

    def __init__(self, layers: list[Adapted], rank: int, example: tuple[int, ...], features: int) -> None:
        super().__init__()
        self.layers, self.rank = nn.ModuleList(layers), rank
        self.example, self.features = example, features

    @property
    def ranks(self) -> int:
        """R"""
        return self.rank * len(self.layers)

    def strengths(self, s: Tensor | None) -> list[Tensor | None]:
        """Of each layer, out of [R] or [N, R]."""
        if s is None:
            return [None] * len(self.layers)
        return list(s.unflatten(-1, (len(self.layers), self.rank)).unbind(-2))


class Pictures(Base):
    """Convolutions with stride 2, as MAML has them for Omniglot (Finn et al. 2017, arXiv:1703.03400), with the norm of
    groups instead of that of a batch."""

    def __init__(self, config: PicturesConfig, rank: int) -> None:
        widths = (1, *config.channels)
        pairs = pairwise(widths)
        layers = [Adapted(nn.Conv2d(*pair, 3, 2, 1, bias=False), rank) for pair in pairs]
        places = math.ceil(config.size / 2 ** len(config.channels)) ** 2
        super().__init__(layers, rank, (1, config.size, config.size), places * config.channels[-1])
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, count) for count in config.channels)

    def forward(self, x: Tensor, s: Tensor | None = None) -> Tensor:
        """[N, 1, size, size] between 0 and 1, with s [R] or [N, R], to [N, D]."""
        for layer, norm, strength in zip(self.layers, self.norms, self.strengths(s), strict=True):
            x = F.relu(norm(layer(x, strength)))
        return x.flatten(1)


class Numbers(Base):
    """Linear layers, for rows of numbers."""

    def __init__(self, config: NumbersConfig, rank: int) -> None:
        widths = (config.inputs, *config.widths)
        pairs = pairwise(widths)
        layers = [Adapted(nn.Linear(*pair), rank) for pair in pairs]
        super().__init__(layers, rank, (config.inputs,), config.widths[-1])

    def forward(self, x: Tensor, s: Tensor | None = None) -> Tensor:
        """[N, inputs] to [N, D]"""
        for layer, strength in zip(self.layers, self.strengths(s), strict=True):
            x = F.relu(layer(x, strength))
        return x


class Head(NamedTuple):
    """A linear layer of one task."""

    weight: Tensor  # [K, D]
    bias: Tensor  # [K]

    def __call__(self, features: Tensor) -> Tensor:
        """[N, D] to [N, K]"""
        return features @ self.weight.T + self.bias


class Adapter(NamedTuple):
    """All that a task has of its own."""

    s: Tensor  # [R]
    head: Head


class Modulation(NamedTuple):
    """What the embedding says of s."""

    s0: Tensor  # [R]
    gate: Tensor  # [R] m, between 0 and 1
    rate: Tensor  # [R] alpha, above 0


class SetEncoder(nn.Module):
    """Examples to what they are together, in whatever order."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.all = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, examples: Tensor) -> Tensor:
        """[N, inputs] to [E]"""
        together: Tensor = self.all(self.each(examples).mean(-2))
        return together


class MetaLoRA(nn.Module):
    """`y` is [N, K]: of a class, 1 in its column and 0 elsewhere; of a regression, the values."""

    def __init__(self, config: V5Config, base: Base, inputs: int) -> None:
        """`inputs` is how many numbers `examples` has of each."""
        super().__init__()
        if not config.rank:
            raise ValueError("a model that adapts has a rank of at least 1")
        self.config, self.base = config, base
        self.encoder = SetEncoder(inputs, config.embedding)
        self.generate = nn.Linear(config.embedding, 3 * base.ranks)
        self.head_rate = nn.Parameter(torch.tensor(_RATE).log())
        with torch.no_grad():
            self.generate.bias.view(3, -1)[2] = math.log(math.expm1(_RATE))

    def begin_at(self, strength: float) -> None:
        """Before the first step every task's strengths are near this. Drawn, they are about 0.1: an adapter that begins
        as nothing would learn that much slower than LoRA's, which are not scaled."""
        with torch.no_grad():
            self.generate.bias.view(3, -1)[0] = strength

    def embed(self, x: Tensor, y: Tensor) -> Tensor:
        """e [E] of the examples [N, ...]."""
        embedding: Tensor = self.encoder(self.examples(x, y))
        return embedding

    def modulation(self, embedding: Tensor) -> Modulation:
        s0, gate, rate = self.generate(embedding).unflatten(-1, (3, -1)).unbind(-2)
        return Modulation(s0, gate.sigmoid(), F.softplus(rate))

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The adapter without gradients: s [R], weight [K, D], bias [K]."""
        s = self.modulation(self.embed(x, y)).s0
        return s, *self.head(x, y, s)

    def predict(self, x: Tensor, adapter: Adapter) -> Tensor:
        """[N, K]"""
        return adapter.head(self.base(x, adapter.s))

    def examples(self, x: Tensor, y: Tensor) -> Tensor:
        """What the set encoder reads of each, [N, inputs]."""
        raise NotImplementedError

    def head(self, x: Tensor, y: Tensor, s: Tensor) -> Head:
        """The first one, before any gradient."""
        raise NotImplementedError


class Classifying(MetaLoRA):
    """An example is read as the mean of its class and how it differs from that."""

    def __init__(self, config: V5Config, base: Base) -> None:
        super().__init__(config, base, 2 * base.features)
        self.sharpness = nn.Parameter(torch.tensor(SHARP / base.features).log())

    def examples(self, x: Tensor, y: Tensor) -> Tensor:
        return in_class(self.base(x), y)

    def strengths(self, seen: Tensor, y: Tensor) -> Tensor:
        """s0 [R] of what the base without adapters makes of the examples, [N, D]."""
        return self.modulation(self.encoder(in_class(seen, y))).s0

    def head(self, x: Tensor, y: Tensor, s: Tensor) -> Head:
        return nearest(prototypes(self.base(x, s), y), self.sharpness.exp())


class Regressing(MetaLoRA):
    """An example is read as the point that it is; the head begins alike for every task."""

    def __init__(self, config: V5Config, base: Numbers, outputs: int) -> None:
        super().__init__(config, base, base.example[0] + outputs)
        self.last = nn.Linear(base.features, outputs)

    def examples(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.cat([x, y], -1)

    def head(self, x: Tensor, y: Tensor, s: Tensor) -> Head:
        return Head(self.last.weight, self.last.bias)


def in_class(seen: Tensor, y: Tensor) -> Tensor:
    """Of each example the mean of its class and how it differs from that, [N, 2 D] of [N, D]."""
    own = y @ prototypes(seen, y)
    return torch.cat([own, seen - own], -1)


def prototypes(features: Tensor, y: Tensor) -> Tensor:
    """The mean of each class, [K, D]; 0 for one without examples."""
    return y.T @ features / y.sum(0).clamp(min=1.0)[:, None]


def nearest(centres: Tensor, sharpness: Tensor) -> Head:
    """The linear layer whose logits are the negative squared distances to the centres [K, D] times the sharpness, but
    for what all classes have in common."""
    return Head(2 * sharpness * centres, -sharpness * centres.square().sum(-1))
