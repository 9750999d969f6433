"""Dynamic-context contrastive predictive coding: which horizon to look to is learned with what is seen there.

- van den Oord et al. 2018, Representation Learning with Contrastive Predictive Coding, arXiv:1807.03748.
- Chuang et al. 2020, Debiased Contrastive Learning, arXiv:2007.00224.
- Tonekaboni et al. 2021, Temporal Neighborhood Coding, arXiv:2106.00750: what is a period away is no negative.
- Williams 1992, REINFORCE: the running mean that each horizon's loss is compared with.

Readings go through strided convolutions to tokens z, and those through a causal Transformer to contexts c. Every token
looks back over a window of W tokens with a learned bias for each distance, so what has to be remembered has a fixed
size, and a new token costs one call whatever came before. From c_t a matrix for each horizon k = 1..K predicts the
token k ahead. q_t = softmax(g(c_t)) says how much each horizon counts:

    loss = sum over k of q_t,k (InfoNCE_t,k - mean_k) - lambda H(q_t)

mean_k is the running mean of horizon k's loss. Without it q goes to the horizon that is easiest, which is the next one.

Letters: B batch, T readings, F sensors, N tokens, W window, H heads, D head width, C width, K horizons, E space of the
comparison, M negatives of other sequences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_NEVER = -1e4
_COLDEST = math.log(50.0)  # the scale of cosines stays below 50: its exponential is still a number


@dataclass(frozen=True, slots=True)
class V4Config:
    sensors: int
    strides: tuple[int, ...] = (2,)
    kernels: tuple[int, ...] = (2,)
    """As long as the stride, a token knows its own readings only; longer, some of those before too."""
    width: int = 32
    layers: int = 2
    heads: int = 4
    hidden: int = 64
    """Width between the two matrices of the feed-forward part."""
    window: int = 32
    """Tokens that a layer looks back over, the token itself among them."""
    horizons: int = 10
    space: int = 32
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if len(self.strides) != len(self.kernels) or not self.strides:
            raise ValueError("strides and kernels must be as many, and at least one")
        if any(kernel < stride for kernel, stride in zip(self.kernels, self.strides, strict=True)):
            raise ValueError("a kernel must be at least as long as its stride")

    @property
    def stride(self) -> int:
        """Readings of a token."""
        return math.prod(self.strides)

    @property
    def reach(self) -> int:
        """Tokens that a context depends on: those that make a lost state again, up to rounding of the convolutions."""
        overlap = sum(kernel > stride for kernel, stride in zip(self.kernels, self.strides, strict=True))
        return self.layers * (self.window - 1) + 1 + overlap * max(self.kernels)


class State(NamedTuple):
    """What is remembered between two calls; all zeros before the first."""

    tails: list[Tensor]  # of each convolution [B, channels, kernel - stride]: the end of its input
    past: Tensor  # [B, layers, 2, W - 1, C] keys and values
    filled: Tensor  # [B, 1] how many of the W - 1 are there


class Known(NamedTuple):
    tokens: Tensor  # [B, N, E] of length 1: what is compared
    contexts: Tensor  # [B, N, C]
    weights: Tensor  # [B, N, K] q: how much each horizon counts, seen from here
    predicted: Tensor  # [B, N, K, E] of length 1: the token 1..K ahead


class Front(nn.Module):
    """Readings to tokens. A reading that is missing is 0 and said to be."""

    def __init__(self, config: V4Config) -> None:
        super().__init__()
        self.config = config
        widths = [2 * config.sensors] + [config.width] * len(config.strides)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[place], widths[place + 1], config.kernels[place], config.strides[place])
            for place in range(len(config.strides))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in config.strides)
        self.mix = nn.Sequential(
            nn.Linear(config.width, config.width), nn.GELU(), nn.Linear(config.width, config.width)
        )

    def forward(self, readings: Tensor, seen: Tensor, tails: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """readings, seen [B, T, F], T a multiple of the stride, to [B, N, C] and the new tails."""
        x = torch.cat([readings * seen, seen], -1).transpose(1, 2)  # (B, 2 F, T)
        kept = []
        for convolution, norm, tail in zip(self.convolutions, self.norms, tails, strict=True):
            x = torch.cat([tail, x], 2)
            kept.append(x[:, :, x.shape[2] - tail.shape[2] :])
            x = F.gelu(norm(convolution(x).transpose(1, 2))).transpose(1, 2)
        x = x.transpose(1, 2)
        return x + self.mix(x), kept


class Layer(nn.Module):
    """Looks back over the window, then thinks for itself; each half is added to a normalised input."""

    def __init__(self, config: V4Config) -> None:
        super().__init__()
        self.config = config
        self.first, self.second = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.query, self.key, self.value, self.out = (nn.Linear(config.width, config.width) for _ in range(4))
        self.distance = nn.Parameter(torch.zeros(config.heads, config.window))
        self.up, self.down = nn.Linear(config.width, config.hidden), nn.Linear(config.hidden, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, past: Tensor, filled: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, N, C], past [B, 2, W - 1, C], filled [B, 1]; the same x and past of what comes next."""
        normed = self.first(x)
        keys = torch.cat([past[:, 0], self.key(normed)], 1)  # (B, W - 1 + N, C)
        values = torch.cat([past[:, 1], self.value(normed)], 1)
        x = x + self.dropout(self.out(self._look(self.query(normed), keys, values, filled)))
        x = x + self.dropout(self.down(F.gelu(self.up(self.second(x)))))
        back = self.config.window - 1
        return x, torch.stack([keys[:, keys.shape[1] - back :], values[:, values.shape[1] - back :]], 1)

    def _look(self, q: Tensor, k: Tensor, v: Tensor, filled: Tensor) -> Tensor:
        """q [B, N, C] over k, v [B, W - 1 + N, C]."""
        back, sizes = self.config.window - 1, (self.config.heads, -1)
        q, k, v = (part.unflatten(-1, sizes).transpose(1, 2) for part in (q, k, v))  # (B, H, ., D)
        place = torch.arange(k.shape[2], device=k.device)
        distance = torch.arange(q.shape[2], device=q.device)[:, None] + back - place  # (N, W - 1 + N)
        is_near = (distance >= 0) & (distance <= back)
        bias = torch.where(is_near, self.distance[:, distance.clamp(0, back)], _NEVER)  # (H, N, W - 1 + N)
        is_there = place >= back - filled  # (B, W - 1 + N)
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias
        mixed = torch.where(is_there[:, None, None], scores, _NEVER).softmax(-1) @ v
        return mixed.transpose(1, 2).flatten(2)


class DCCPC(nn.Module):
    def __init__(self, config: V4Config) -> None:
        super().__init__()
        self.config = config
        self.front = Front(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.compare = nn.Linear(config.width, config.space)
        self.predict = nn.Linear(config.width, config.horizons * config.space)
        self.horizon = nn.Linear(config.width, config.horizons)
        nn.init.zeros_(self.horizon.weight)
        nn.init.zeros_(self.horizon.bias)

    def begin(self, batch: int) -> State:
        """Nothing has been read."""
        config, like = self.config, self.compare.weight
        channels = [2 * config.sensors] + [config.width] * (len(config.strides) - 1)
        tails = [
            like.new_zeros(batch, channel, kernel - stride)
            for channel, kernel, stride in zip(channels, config.kernels, config.strides, strict=True)
        ]
        past = like.new_zeros(batch, config.layers, 2, config.window - 1, config.width)
        return State(tails, past, like.new_zeros(batch, 1))

    def forward(self, readings: Tensor, seen: Tensor, state: State | None = None) -> tuple[Known, State]:
        """readings and seen [B, T, F], T a multiple of the stride; `seen` is 1 where there is a reading. What comes
        before is in the state; a series in parts says what it says whole."""
        state = state or self.begin(len(readings))
        x, tails = self.front(readings, seen, state.tails)
        tokens = F.normalize(self.compare(x), dim=-1)
        kept = []
        for place, layer in enumerate(self.layers):
            x, past = layer(x, state.past[:, place], state.filled)
            kept.append(past)
        contexts = self.norm(x)
        ahead = self.predict(contexts).unflatten(-1, (self.config.horizons, self.config.space))
        known = Known(tokens, contexts, self.horizon(contexts).softmax(-1), F.normalize(ahead, dim=-1))
        filled = (state.filled + tokens.shape[1]).clamp(max=self.config.window - 1)
        return known, State(tails, torch.stack(kept, 1), filled)


def pack(state: State) -> Tensor:
    """[B, numbers], for a graph with one input and one output of it."""
    return torch.cat([state.filled, state.past.flatten(1), *(tail.flatten(1) for tail in state.tails)], 1)


def unpack(flat: Tensor, config: V4Config) -> State:
    like = (config.layers, 2, config.window - 1, config.width)
    end = 1 + math.prod(like)
    channels, tails = [2 * config.sensors] + [config.width] * (len(config.strides) - 1), []
    for channel, kernel, stride in zip(channels, config.kernels, config.strides, strict=True):
        count = channel * (kernel - stride)
        tails.append(flat[:, end : end + count].unflatten(1, (channel, kernel - stride)) if count else
                     flat.new_zeros(flat.shape[0], channel, 0))  # fmt: skip
        end += count
    return State(tails, flat[:, 1 : 1 + math.prod(like)].unflatten(1, like), flat[:, :1])


@dataclass(frozen=True, slots=True)
class ObjectiveConfig:
    weights: Literal["dynamic", "uniform", "first", "last"] = "dynamic"
    """`first` counts horizon 1 alone, `last` horizon K alone, `uniform` all alike: to compare with."""
    has_baseline: bool = True
    entropy: float = 0.2
    """lambda"""
    memory: float = 0.98
    """Share of a horizon's running mean that stays after a step."""
    negatives: int = 64
    """M: tokens of other sequences that a prediction is compared with, beside all of its own."""
    prior: float = 0.02
    """Share of the negatives that are expected to be like the positive."""
    guard: int = 1
    """Tokens around the positive, and around what is whole periods away from it, that are no negatives."""
    excludes_period: bool = True


class Objective(nn.Module):
    """The loss with what it has to learn and to remember."""

    def __init__(self, model: DCCPC, config: ObjectiveConfig) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(model.config.horizons))
        self.register_buffer("steps", torch.zeros(()))
        self.steps: Tensor

    def forward(self, readings: Tensor, seen: Tensor, period: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and what to look at: mean InfoNCE and share of right guesses for each horizon [K], mean weight of
        each [K]. `period` [B] is in tokens, 0 where there is none. In training the running means are renewed."""
        known, _ = self.model(readings, seen)
        is_token = seen.unflatten(1, (-1, self.model.config.stride)).flatten(2).amax(-1) > 0  # (B, N)
        nce, right = self._nce(known, is_token, period)  # (B, n, K)
        counts = self._counted(is_token, nce.shape[1])
        share = counts.sum((0, 1)).clamp(min=1.0)
        means = (nce * counts).sum((0, 1)) / share  # (K)
        weights = self._weights(known.weights[:, : nce.shape[1]]) * counts
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-6)
        offset = self._baseline(means.detach())
        each = (weights * (nce - offset)).sum(-1) - self.config.entropy * _entropy(weights)
        is_any = counts.amax(-1)
        loss = (each * is_any).sum() / is_any.sum().clamp(min=1.0)
        used = (weights * is_any[..., None]).sum((0, 1)) / is_any.sum().clamp(min=1.0)
        return loss, {"nce": means.detach(), "right": (right * counts).sum((0, 1)) / share, "weights": used.detach()}

    def _weights(self, learned: Tensor) -> Tensor:
        if self.config.weights == "dynamic":
            return learned
        fixed = torch.zeros_like(learned)
        if self.config.weights == "uniform":
            return fixed + 1
        fixed[..., 0 if self.config.weights == "first" else -1] = 1
        return fixed

    def _baseline(self, means: Tensor) -> Tensor:
        """[K]: the running mean before this step, which is then renewed."""
        if not self.config.has_baseline:
            return torch.zeros_like(means)
        before = self.mean / (1 - self.config.memory**self.steps).clamp(min=1e-6) if self.steps > 0 else means
        if self.training:
            self.mean = self.config.memory * self.mean + (1 - self.config.memory) * means
            self.steps = self.steps + 1
        return before

    def _counted(self, is_token: Tensor, count: int) -> Tensor:
        """[B, n, K]: 1 where the token k ahead of t is there."""
        horizons = self.model.config.horizons
        return torch.stack([is_token[:, k : k + count] for k in range(1, horizons + 1)], -1).float()

    def _nce(self, known: Known, is_token: Tensor, period: Tensor) -> tuple[Tensor, Tensor]:
        """InfoNCE and whether no negative is nearer than the positive, [B, n, K], of the n = N - K contexts that have
        all horizons ahead."""
        horizons, tokens = self.model.config.horizons, known.tokens
        count = tokens.shape[1] - horizons
        if count < 1:
            raise ValueError(f"a sequence must have more than {horizons} tokens, not {tokens.shape[1]}")
        scale = self.log_scale.clamp(max=_COLDEST).exp()
        ahead = known.predicted[:, :count]  # (B, n, K, E)
        target = torch.stack([tokens[:, k : k + count] for k in range(1, horizons + 1)], 2)
        positive = (ahead * target).sum(-1) * scale  # (B, n, K)
        own = ahead.flatten(1, 2) @ tokens.transpose(1, 2) * scale  # (B, n K, N)
        is_own = self._own_negatives(count, is_token, period).flatten(1, 2)
        other, is_other = self._others(ahead, tokens, is_token, scale)
        logits = torch.cat([own, other], -1).unflatten(1, (count, horizons))
        is_negative = torch.cat([is_own, is_other], -1).unflatten(1, (count, horizons))
        mean = torch.where(is_negative, logits, _NEVER).logsumexp(-1)
        number = is_negative.sum(-1).clamp(min=1)
        negative = self._debiased(mean - number.log(), positive, scale) + number.log()
        highest = torch.where(is_negative, logits, _NEVER).amax(-1)
        return torch.logaddexp(positive, negative) - positive, (positive > highest).float()

    def _own_negatives(self, count: int, is_token: Tensor, period: Tensor) -> Tensor:
        """[B, n, K, N]: the same sequence, but near the positive or near whole periods away from it."""
        tokens, horizons = is_token.shape[1], self.model.config.horizons
        place = torch.arange(tokens, device=is_token.device)
        target = place[:count, None] + torch.arange(1, horizons + 1, device=is_token.device)  # (n, K)
        apart = (place - target[..., None]).abs()  # (n, K, N)
        is_negative = (apart > self.config.guard) & is_token[:, None, None]
        if not self.config.excludes_period:
            return is_negative
        length = period.clamp(min=1)[:, None, None, None]
        rest = apart % length
        is_alike = (torch.minimum(rest, length - rest) <= self.config.guard) & (length > 2 * self.config.guard + 1)
        return is_negative & ~is_alike

    def _others(self, ahead: Tensor, tokens: Tensor, is_token: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """M tokens of the whole batch by chance, without those of the own sequence; both [B, n K, M]."""
        batch, length = is_token.shape
        chosen = torch.randint(batch * length, (self.config.negatives,), device=tokens.device)
        rows = torch.arange(batch, device=tokens.device)[:, None]
        is_other = (chosen // length != rows) & is_token.flatten()[chosen]  # (B, M)
        logits = ahead.flatten(1, 2) @ tokens.flatten(0, 1)[chosen].T * scale
        return logits, is_other[:, None].expand(-1, logits.shape[1], -1)

    def _debiased(self, mean: Tensor, positive: Tensor, scale: Tensor) -> Tensor:
        """log of the negatives' mean without the share of it that is expected to be like the positive."""
        prior = self.config.prior
        without = mean.exp() - prior * positive.exp()
        return (without / (1 - prior)).clamp(min=(-scale).exp().item()).log()


def _entropy(weights: Tensor) -> Tensor:
    return -(weights * weights.clamp(min=1e-9).log()).sum(-1)
