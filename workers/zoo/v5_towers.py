"""Frozen networks with adapters, as bases of V5: an encoder of texts and MobileNetV2.

- Devlin et al. 2019, BERT, arXiv:1810.04805, and Wang et al. 2020, MiniLM, arXiv:2002.10957: the encoder.
- Sandler et al. 2018, MobileNetV2, arXiv:1801.04381.
- Hu et al. 2022, LoRA, arXiv:2106.09685: adapters begin as nothing, up is 0.
- Kopiczko et al. 2023, VeRA, arXiv:2310.11454: adapters that nobody has trained stay as they were drawn, and only their
  strengths are learned.

Only adapters are trained. Features have the length sqrt(D), so that squared distances grow with D as those of other
bases do. Without a rank the base has no adapters, and prototypes on it are what meta-training is compared with.

Letters: N examples, T tokens, C width, Y and X rows and columns, D features, R ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .full_attention import EagerAttention
from .mobilenet import Inverted, MobileNet
from .v1_dynamic_attention import Encoder, V1Config
from .v5_meta_lora import Adapted, Base

_ADAPTED = 4  # linear layers of an encoder's layer: query, value, and both of the feed-forward part


@dataclass(frozen=True, slots=True)
class TextsConfig:
    """As MiniLM L6 has them."""

    vocab_size: int = 30522
    width: int = 384
    layers: int = 6
    heads: int = 12
    hidden: int = 1536
    positions: int = 512

    @property
    def encoder(self) -> V1Config:
        return V1Config(
            self.vocab_size, labels=1, width=self.width, layers=self.layers, heads=self.heads, hidden=self.hidden,
            positions=self.positions, dropout=0.0,
        )  # fmt: skip


class Texts(Base):
    """The mean of the tokens' vectors. Id 0 is padding and has to stand at the end."""

    def __init__(self, config: TextsConfig, rank: int) -> None:
        # Explicit attention: that of torch has no second derivative.
        encoder = Encoder(config.encoder, EagerAttention).requires_grad_(False)
        layers = [
            Adapted(one, rank)
            for layer in encoder.layers
            for one in (layer.attention.query, layer.attention.value, layer.up, layer.down)
        ]
        super().__init__(layers, rank, (config.positions,), config.width)
        self.config, self.encoder = config, encoder
        begin_as_nothing(self)

    def forward(self, ids: Tensor, s: Tensor | None = None) -> Tensor:
        """[N, T] with s [R] or [N, R] to [N, D]"""
        present = ids > 0
        x, found = self.encoder.embeddings(ids), self._adapted(s)
        for layer in self.encoder.layers:
            attention = cast(EagerAttention, layer.attention)
            (query, of_query), (value, of_value), (up, of_up), (down, of_down) = (next(found) for _ in range(_ADAPTED))
            mixed = attention.attend(
                query(x, of_query), attention.key(x), value(x, of_value), present[:, None, None, :]
            )
            x = layer.attention_norm(x + layer.attention_output(mixed))
            x = layer.norm(x + down(F.gelu(up(x, of_up)), of_down))
        weight = present[..., None].to(x.dtype)
        return of_length((x * weight).sum(-2) / weight.sum(-2).clamp(min=1.0))

    def _adapted(self, s: Tensor | None) -> Iterator[tuple[nn.Module, Tensor | None]]:
        return zip(self.layers, self.strengths(s), strict=True)


class Photos(Base):
    """MobileNetV2 with its norms folded into the convolutions; adapters beside those of 1 x 1."""

    def __init__(self, network: MobileNet, rank: int, size: int = 224) -> None:
        """`network` has its weights, and is copied."""
        first, *blocks, last = network.eval().features
        whole = _folded(last)
        made = [Block(cast(Inverted, block), rank) for block in blocks]
        adapted = [one for block in made for one in block.adapted]
        super().__init__([*adapted, Adapted(whole, rank)], rank, (3, size, size), whole.out_channels)
        self.first, self.blocks, self.size = _folded(first), nn.ModuleList(made), size
        for part in (self.first, *(block.inside for block in made), *(one.layer for one in self._all())):
            part.requires_grad_(False)
        begin_as_nothing(self)

    def forward(self, pixels: Tensor, s: Tensor | None = None) -> Tensor:
        """[N, 3, Y, X] with s [R] or [N, R] to [N, D]"""
        strengths = iter(self.strengths(s))
        x = F.relu6(self.first(pixels))
        for block in self.blocks:
            x = block(x, [next(strengths) for _ in cast(Block, block).adapted])
        x = F.relu6(self.layers[-1](x, next(strengths)))
        return of_length(x.mean((-2, -1)))

    def _all(self) -> list[Adapted]:
        return [cast(Adapted, one) for one in self.layers]


class Block(nn.Module):
    """An inverted residual: more channels, each by itself over its neighbours, fewer channels."""

    def __init__(self, block: Inverted, rank: int) -> None:
        super().__init__()
        *wider, inside, narrower, norm = block.conv
        self.wider = Adapted(_folded(wider[0]), rank) if wider else None
        self.inside = _folded(inside)
        self.narrower = Adapted(_fused(narrower, norm), rank)
        self.is_same = block.is_same

    @property
    def adapted(self) -> list[Adapted]:
        return [self.narrower] if self.wider is None else [self.wider, self.narrower]

    def forward(self, x: Tensor, strengths: list[Tensor | None]) -> Tensor:
        *before, last = strengths
        inside = x if self.wider is None else F.relu6(self.wider(x, *before))
        found: Tensor = self.narrower(F.relu6(self.inside(inside)), last)
        return x + found if self.is_same else found


def begin_as_nothing(base: Base) -> None:
    for layer in base.layers:
        if (up := cast(Adapted, layer).up) is not None:
            nn.init.zeros_(up.weight)


def of_length(features: Tensor) -> Tensor:
    """[N, D], each of length sqrt(D)"""
    return F.normalize(features, dim=-1) * math.sqrt(features.shape[-1])


def _folded(part: nn.Module) -> nn.Conv2d:
    convolution, norm = cast(nn.Sequential, part)[:2]
    return _fused(convolution, norm)


@torch.no_grad()
def _fused(convolution: nn.Module, norm: nn.Module) -> nn.Conv2d:
    return fuse_conv_bn_eval(cast(nn.Conv2d, convolution), cast(nn.BatchNorm2d, norm))


def begin_as_drawn(base: Base) -> None:
    """Each rank reads and writes in a direction of its own, the same ones whenever this is called. With strengths of 0
    they are nothing as well."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for layer in base.layers:
            one = cast(Adapted, layer)
            if one.down is not None and one.up is not None:
                nn.init.orthogonal_(one.down.weight)
                nn.init.orthogonal_(one.up.weight)
