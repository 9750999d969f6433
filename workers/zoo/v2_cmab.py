"""Cross-modal attention bridge: a tower for pictures, a tower for texts, and a stream in which each looks at the other
through one affinity.

- Xu et al. 2023, BridgeTower, arXiv:2206.08657: bridges from several depths of both towers.
- Hiller et al. 2024, BiXT, arXiv:2402.12138: one affinity, read along both of its axes.
- Alayrac et al. 2022, Flamingo, arXiv:2204.14198: gates of tanh. Here they are opened from nothing by a schedule, one
  depth after the other: learned from nothing they hardly move, as what is behind a closed gate learns nothing either.
- Li et al. 2021, ALBEF, arXiv:2107.07651: align before fusing; matching with the pairs that are hardest to tell.
- Zhai et al. 2023, SigLIP, arXiv:2303.15343: each pair of a batch is a yes or no of its own.

The vectors that are searched for come from the towers alone. A tower also gives what it knows at S depths, as words or
as places of a grid, both C wide: the bridge needs nothing else, so each of the three is a graph of its own. At depth s
the affinity A = (words Wq)(places Wk)^T, of vectors of length 1 (Henry et al. 2020, arXiv:2010.04245), is computed
once: its softmax over the places says what the words take from the picture, its softmax over the words what the places
take from the text. Where a place lies is told to each depth anew (Carion et al. 2020, arXiv:2005.12872), and a word
looks near or far from where it looked at the depth before.

Letters: B batch, T words, P places, S depths, H heads, D head width, C width of the bridge, E width of the space.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .full_attention import FullAttention
from .mobilenet import MobileNet, MobileNetConfig
from .resnet import RESNET_50, SMALL, ResNet, ResNetConfig, grid_of
from .v1_dynamic_attention import Embeddings, Layer, V1Config

DEPTHS = 3
_NEVER = -1e4
_SHARP = 10.0  # of an affinity at first: what looks everywhere alike learns from nowhere
_BESIDE = 0.125  # of a word's looking near or far at first: a few logits over a picture


@dataclass(frozen=True, slots=True)
class V2Config:
    vocab_size: int
    picture: ResNetConfig | MobileNetConfig = SMALL
    text_width: int = 128
    text_layers: int = 3
    text_heads: int = 4
    text_hidden: int = 512
    positions: int = 64
    pad_id: int = 0
    dropout: float = 0.1
    space: int = 128
    """E"""
    width: int = 128
    """C"""
    heads: int = 4
    """H, of the bridge"""
    grid: int = 8
    """A picture is looked at on grid x grid places."""
    is_placed: bool = False
    """The picture's vector is made of what the finer depths say of each place too, as far as the mean of the last stage
    says that this is to be trusted; else of that mean alone."""
    answers: int = 0
    """Of questions; 0 has none."""
    is_shared: bool = True
    """One affinity a depth; else one for each direction, to compare with."""

    def __post_init__(self) -> None:
        if self.text_layers % DEPTHS:
            raise ValueError(f"text_layers must be a multiple of {DEPTHS}, not {self.text_layers}")
        for width, heads in ((self.text_width, self.text_heads), (self.width, self.heads)):
            if width % heads:
                raise ValueError(f"width {width} is not a multiple of heads {heads}")
        if len(self.picture.blocks) < DEPTHS:
            raise ValueError(f"a picture tower has at least {DEPTHS} stages")

    @property
    def text(self) -> V1Config:
        return V1Config(
            self.vocab_size, 1, self.text_width, self.text_layers, self.text_heads, self.text_hidden, self.positions,
            self.pad_id, self.dropout, global_tokens=1,
        )  # fmt: skip

    @property
    def bridge(self) -> V1Config:
        """Of the words' own layer at each depth."""
        return V1Config(1, 1, self.width, 1, self.heads, 2 * self.width, 1, 0, self.dropout, global_tokens=1)


def base(vocab_size: int = 30522, answers: int = 0) -> V2Config:
    """ResNet-50 and BERT base, bridged at C3, C4, C5 and behind the layers 4, 8 and 12."""
    return V2Config(vocab_size, RESNET_50, 768, 12, 12, 3072, 512, space=512, width=768, heads=12, grid=7,
                    answers=answers)  # fmt: skip


class Known(NamedTuple):
    """What a tower says of its side."""

    vector: Tensor  # [B, E], of length 1
    parts: Tensor  # [B, S, T or P, C]


class PictureTower(nn.Module):
    def __init__(self, config: V2Config) -> None:
        super().__init__()
        self.grid = config.grid
        is_residual = isinstance(config.picture, ResNetConfig)
        self.network = ResNet(config.picture) if is_residual else MobileNet()
        channels = config.picture.channels[-DEPTHS:]
        self.parts = nn.ModuleList(Places(count, config.width) for count in channels)
        self.vector = _apart(channels[-1], config.space)
        finer = config.grid**2 * sum(channels[:-1])
        self.layout = _apart(finer, config.space) if config.is_placed else None
        self.trust = nn.Linear(channels[-1], 1) if config.is_placed else None

    def forward(self, pixels: Tensor) -> Known:
        """[B, 3, Y, X]. Raises ValueError for a size that does not make the grid."""
        seen = self.see(pixels)
        return Known(self.vector_of(*self.summary(seen)), self.tell(seen))

    def see(self, pixels: Tensor) -> list[Tensor]:
        """What the network knows of each place at each depth, [B, P, channels]: all that is behind can be trained on
        it when the network itself is not."""
        return [grid_of(stage, self.grid) for stage in self.network(pixels)[-DEPTHS:]]

    def tell(self, seen: list[Tensor]) -> Tensor:
        """The parts, [B, S, P, C]"""
        return torch.stack([part(depth) for part, depth in zip(self.parts, seen, strict=True)], 1)

    @staticmethod
    def summary(seen: list[Tensor]) -> tuple[Tensor, Tensor]:
        """What the vector is made of: the mean of the last stage [B, channels], and the places of the finer ones side
        by side."""
        return seen[-1].mean(1), torch.cat([depth.flatten(1) for depth in seen[:-1]], 1)

    def vector_of(self, mean: Tensor, finer: Tensor) -> Tensor:
        """[B, E]"""
        vector = self.vector(mean)
        if self.layout is not None and self.trust is not None:
            vector = vector + self.trust(mean).sigmoid() * self.layout(finer)
        return F.normalize(vector, dim=-1)


class Places(nn.Module):
    """What the places say to the bridge, [B, P, channels] to [B, P, C]. What all of them have in common is taken away
    first: empty places are most, and what a thing has that they have not is small beside it."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.BatchNorm1d(channels, affine=False), nn.Linear(channels, width)

    def forward(self, seen: Tensor) -> Tensor:
        told: Tensor = self.linear(self.norm(seen.flatten(0, 1)).view(seen.shape))
        return told


class TextTower(nn.Module):
    def __init__(self, config: V2Config) -> None:
        super().__init__()
        self.embeddings = Embeddings(config.text)
        self.layers = nn.ModuleList(Layer(config.text, FullAttention) for _ in range(config.text_layers))
        self.parts = nn.ModuleList(nn.Linear(config.text_width, config.width) for _ in range(DEPTHS))
        self.vector = _apart(config.text_width, config.space)

    def forward(self, ids: Tensor, mask: Tensor) -> Known:
        """[B, T] twice; the mask is 1 where a token is."""
        mean, parts = self.look(ids, mask)
        return Known(F.normalize(self.vector(mean), dim=-1), parts)

    def look(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of the words [B, text_width], and the parts."""
        x, found = self.embeddings(ids), []
        present = mask[:, None, None, :] > 0
        step = len(self.layers) // DEPTHS
        for place, layer in enumerate(self.layers, 1):
            x, _ = layer(x, present)
            if place % step == 0:
                found.append(self.parts[len(found)](x))
        weight = mask[..., None].to(x.dtype)
        return (x * weight).sum(1) / weight.sum(1).clamp(min=1.0), torch.stack(found, 1)


class Fused(NamedTuple):
    match: Tensor  # [B], the logit of belonging together
    answers: Tensor  # [B, answers], logits
    looked: Tensor  # [B, T, P]: where each word looks, over all depths and heads; each row sums to 1


class Bridge(nn.Module):
    def __init__(self, config: V2Config) -> None:
        super().__init__()
        self.register_buffer("waves", waves(config.grid, config.width))
        self.crossings = nn.ModuleList(Crossing(config) for _ in range(DEPTHS))
        self.opened = float(DEPTHS)
        """Progressive fusion: 1.5 is the first crossing whole and the second by half; those behind are passed by."""
        self.match = _head(2 * config.width, config.width, 1)
        self.answer = _head(2 * config.width, config.width, config.answers) if config.answers else None

    def forward(self, words: Tensor, places: Tensor, mask: Tensor) -> Fused:
        """What the towers say, [B, S, T, C] and [B, S, P, C], and where a word is, [B, T]."""
        text, picture, looked = torch.zeros_like(words[:, 0]), torch.zeros_like(places[:, 0]), []
        for depth, crossing in enumerate(self.crossings):
            text, picture = text + words[:, depth], picture + places[:, depth]
            if depth < self.opened:
                before, share = looked[-1] if looked else None, min(1.0, self.opened - depth)
                text, picture, seen = crossing(text, picture, mask, self.waves, before, share)
                looked.append(seen)
        both = torch.cat([text[:, 0], picture.amax(1)], -1)  # one place of many has the answer: a mean would drown it
        answers = self.answer(both) if self.answer else both[:, :0]
        where = torch.stack(looked).mean((0, 2)) if looked else text.new_zeros(*text.shape[:2], picture.shape[1])
        return Fused(self.match(both)[:, 0], answers, where)


class Crossing(nn.Module):
    """One depth: words and places take from each other, then each side thinks by itself."""

    def __init__(self, config: V2Config) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.text_norm, self.picture_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.sharpness = nn.Parameter(torch.full((self.heads, 1, 1), _SHARP).log())
        near = torch.tensor([1.0, -1.0]).repeat(self.heads)[: self.heads, None, None]
        self.beside = nn.Parameter(_BESIDE * near.repeat(1, 1, width))
        """By wave, what a word's looking depends on how far a place is from where it looked before: half of the heads
        begin by looking there, half by looking away."""
        self.back = None if config.is_shared else nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.of_picture, self.of_text = nn.Linear(width, width), nn.Linear(width, width)
        self.to_text, self.to_picture = nn.Linear(width, width), nn.Linear(width, width)
        self.gates = nn.Parameter(torch.ones(2))
        self.layer = Layer(config.bridge, FullAttention)
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(
        self, text: Tensor, picture: Tensor, mask: Tensor, waves: Tensor, before: Tensor | None, share: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """text [B, T, C], picture [B, P, C], where the places lie [P, C], where the words looked at the depth before
        [B, H, T, P], and by how much the gates are open; the first two, and where each word looks now."""
        # Behind the norm: in the stream, what a thing is like drowns where it lies.
        words, places = self.text_norm(text), self.picture_norm(picture) + waves
        affinity = self._affinity(self.query(words), self.key(places))
        if before is not None:
            affinity = affinity + (before @ waves * self.beside) @ waves.T
        back = affinity if self.back is None else self._affinity(self.back[0](words), self.back[1](places))
        seen = affinity.softmax(-1)  # (B, H, T, P)
        told = torch.where(mask[:, None, :, None] > 0, back, _NEVER).softmax(-2).transpose(-1, -2)  # (B, H, P, T)
        gates = share * self.gates.tanh()
        text = text + gates[0] * self.to_text(self._taken(seen, self.of_picture(places)))
        picture = picture + gates[1] * self.to_picture(self._taken(told, self.of_text(words)))
        text, _ = self.layer(text, mask[:, None, None, :] > 0)
        return text, picture + self.feed(self.feed_norm(picture)), seen

    def _affinity(self, query: Tensor, key: Tensor) -> Tensor:
        """[B, H, T, P]: cosines, made sharper."""
        query, key = (F.normalize(self._by_head(side), dim=-1) for side in (query, key))
        return query @ key.transpose(-1, -2) * self.sharpness.exp()

    def _taken(self, weights: Tensor, values: Tensor) -> Tensor:
        """weights [B, H, n, m], values [B, m, C] to [B, n, C]"""
        return (weights @ self._by_head(values)).transpose(1, 2).flatten(2)

    def _by_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class CMAB(nn.Module):
    def __init__(self, config: V2Config) -> None:
        super().__init__()
        self.config = config
        self.pictures, self.texts, self.bridge = PictureTower(config), TextTower(config), Bridge(config)
        self.log_scale = nn.Parameter(torch.tensor(20.0).log())
        self.bias = nn.Parameter(torch.tensor(-10.0))
        """At first a cosine of a half is undecided."""

    def forward(self, pixels: Tensor, ids: Tensor, mask: Tensor) -> tuple[Known, Known, Fused]:
        """Of pairs: pixels [B, 3, Y, X], ids and mask [B, T]."""
        picture, text = self.pictures(pixels), self.texts(ids, mask)
        return picture, text, self.bridge(text.parts, picture.parts, mask)

    def alignment(self, pictures: Tensor, texts: Tensor, same: Tensor) -> Tensor:
        """Mean over the texts of the sigmoid loss over all pairs; vectors [B, E] and [M, E], `same` [B, M] says which
        belong together."""
        logits = pictures @ texts.T * self.log_scale.exp() + self.bias
        return -F.logsigmoid(torch.where(same, logits, -logits)).sum() / len(texts)

    @torch.no_grad()
    def hardest(self, pictures: Tensor, texts: Tensor, same: Tensor) -> Tensor:
        """For each text the picture that is most like it and does not belong to it; [M] places. Raises ValueError when
        there is none."""
        if bool(same.all(0).any()):
            raise ValueError("every picture belongs to this text: a batch needs pairs that do not match")
        return (pictures @ texts.T).masked_fill(same, -torch.inf).argmax(0)


def conflict(first: Tensor, second: Tensor, shared: list[nn.Parameter]) -> float:
    """The cosine between the gradients of two losses in the shared parameters: below 0 they pull apart. 1 where one of
    them asks for nothing (Yu et al. 2020, arXiv:2001.06782, look at the same figure)."""
    a, b = (
        torch.cat([
            (torch.zeros_like(value) if found is None else found).flatten()
            for value, found in zip(shared, torch.autograd.grad(
                loss, shared, retain_graph=True, allow_unused=True), strict=True)
        ]) for loss in (first, second)
    )  # fmt: skip
    length = float(a.norm() * b.norm())
    return float(a @ b) / length if length else 1.0


def waves(grid: int, width: int) -> Tensor:
    """[grid * grid, width]: where each place lies, as sines and cosines of its row and column, half a wave over the
    picture up to one over two places. What begins so can tell near from far at once."""
    rates = torch.pi * torch.logspace(0, math.log2(grid / 2), width // 4, base=2.0)
    angles = torch.linspace(-1, 1, grid, device=rates.device)[:, None] * rates / 2  # (grid, width / 4)
    one = torch.cat([angles.sin(), angles.cos()], -1)
    both = torch.cat([one[:, None].expand(-1, grid, -1), one.expand(grid, -1, -1)], -1).flatten(0, 1)
    return F.pad(both, (0, width % 4))


def _apart(before: int, after: int) -> nn.Sequential:
    """What all have in common says nothing of any: it is taken away before the vector is made, which begins by keeping
    who is like whom."""
    linear = nn.Linear(before, after)
    nn.init.orthogonal_(linear.weight)
    nn.init.zeros_(linear.bias)
    return nn.Sequential(nn.BatchNorm1d(before, affine=False), linear)


def _head(before: int, inside: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(before), nn.Linear(before, inside), nn.GELU(), nn.Linear(inside, after))
