"""Decoder language model with a mixture of experts, and its dense twin of as many active parameters.

- Shazeer et al. 2017, Outrageously Large Neural Networks, arXiv:1701.06538.
- Wang et al. 2024, Auxiliary-Loss-Free Load Balancing Strategy for Mixture-of-Experts, arXiv:2408.15664.
- DeepSeek-AI 2024, DeepSeekMoE, arXiv:2401.06066: small experts beside shared ones.
- Su et al. 2021, RoFormer, arXiv:2104.09864; Zhang and Sennrich 2019, RMSNorm, arXiv:1910.07467; Shazeer 2020, GLU
  Variants Improve Transformer, arXiv:2002.05202; Ainslie et al. 2023, GQA, arXiv:2305.13245.

A token goes to the K experts with the highest s + b: s = sigmoid(W x) is how well each fits, b a bias that no gradient
reaches. Their outputs are added by s alone, made to sum to 1. After each step b rises by a fixed rate where an expert
had fewer tokens than the mean and falls where it had more. No token is ever dropped, however many an expert gets.

Letters: B batch, T tokens, N = B T, V vocabulary, C width, H heads, D head width, E experts, K picked, F hidden width
of an expert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True, slots=True)
class V3Config:
    vocab_size: int
    width: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 128
    """Width between the matrices of one expert."""
    experts: int = 8
    picked: int = 2
    """Experts that each token goes to."""
    shared: int = 0
    """Experts' widths beside them that every token goes through."""
    context: int = 256
    """Longest text."""
    balance_rate: float = 1e-3
    """What an expert's bias changes by after a step; 0 leaves the load to chance."""
    rope_base: float = 10_000.0

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} is not a multiple of twice the heads {self.heads}")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads {self.heads} is not a multiple of kv_heads {self.kv_heads}")
        if not 1 <= self.picked <= self.experts:
            raise ValueError(f"picked must be between 1 and {self.experts}, not {self.picked}")

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def active_hidden(self) -> int:
        """Hidden width that a token goes through: what the dense twin has."""
        return self.hidden * (self.picked + self.shared)


class Routed(NamedTuple):
    picks: Tensor  # [N, K] places of experts
    weights: Tensor  # [N, K] sum to 1


class Router(nn.Module):
    def __init__(self, config: V3Config) -> None:
        super().__init__()
        self.config = config
        self.fit = nn.Linear(config.width, config.experts, bias=False)
        self.bias: Tensor
        self.load: Tensor
        self.register_buffer("bias", torch.zeros(config.experts))
        self.register_buffer("load", torch.zeros(config.experts))  # picks in training since the last balance

    def forward(self, x: Tensor) -> Routed:
        """x [N, C]."""
        scores = self.fit(x).sigmoid()  # (N, E)
        picks = (scores + self.bias).topk(self.config.picked, -1).indices
        weights = scores.gather(-1, picks)
        if self.training:
            self.load += torch.bincount(picks.detach().flatten(), minlength=self.config.experts)
        return Routed(picks, weights / weights.sum(-1, keepdim=True))

    @torch.no_grad()
    def balance(self) -> None:
        """Once a step; before it, a trainer of several processes adds up their loads."""
        self.bias += self.config.balance_rate * (self.load.mean() - self.load).sign()
        self.load.zero_()


def glu(x: Tensor, w_in: Tensor, w_out: Tensor) -> Tensor:
    """x [N, C] through one expert: w_in [C, 2 F], w_out [F, C]."""
    gate, up = (x @ w_in).chunk(2, -1)
    return (F.silu(gate) * up) @ w_out


class Experts(nn.Module):
    """All experts' matrices; rows come sorted by expert."""

    def __init__(self, config: V3Config) -> None:
        super().__init__()
        self.w_in = nn.Parameter(torch.empty(config.experts, config.width, 2 * config.hidden))
        self.w_out = nn.Parameter(torch.empty(config.experts, config.hidden, config.width))
        self.checkpointing = False

    def forward(self, rows: Tensor, counts: Tensor) -> Tensor:
        """rows [N K, C], of which the first counts[0] are the first expert's; counts [E]. The same shape."""
        compute = _again(glu) if self.checkpointing and self.training else glu
        parts = zip(rows.split(counts.tolist()), self.w_in.unbind(), self.w_out.unbind(), strict=True)
        return torch.cat([compute(part, w_in, w_out) for part, w_in, w_out in parts])


class Dense(nn.Module):
    """What every token goes through: the dense twin, or the shared experts."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w_in = nn.Parameter(torch.empty(width, 2 * hidden))
        self.w_out = nn.Parameter(torch.empty(hidden, width))
        self.checkpointing = False

    def forward(self, x: Tensor) -> Tensor:
        compute = _again(glu) if self.checkpointing and self.training else glu
        return compute(x, self.w_in, self.w_out)


class Mixture(nn.Module):
    """Sorts tokens by expert, lets the experts compute, and brings the outputs back: dropless."""

    def __init__(self, config: V3Config) -> None:
        super().__init__()
        self.config = config
        self.router = Router(config)
        self.experts = Experts(config)
        self.shared = Dense(config.width, config.shared * config.hidden) if config.shared else None

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, C]; the same shape."""
        tokens = x.flatten(0, -2)  # (N, C)
        picks, weights = self.router(tokens)
        order = picks.flatten().argsort(stable=True)  # (N K): which pick comes next
        sources = order // self.config.picked
        counts = torch.bincount(picks.flatten(), minlength=self.config.experts)
        rows = self.experts(tokens[sources], counts) * weights.flatten()[order, None]
        out = torch.zeros_like(tokens).index_add(0, sources, rows)
        if self.shared is not None:
            out = out + self.shared(tokens)
        return out.view_as(x)


def dense_twin(config: V3Config) -> Dense:
    """As many parameters as a token meets in a mixture, but for the router's."""
    return Dense(config.width, config.active_hidden)


FEED_FORWARD: dict[str, Callable[[V3Config], nn.Module]] = {"moe": Mixture, "dense": dense_twin}


def rotary_table(config: V3Config) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each position [context, D / 2]."""
    half = config.head_width // 2
    rates = config.rope_base ** (-torch.arange(half, dtype=torch.float32) / half)
    angles = torch.arange(config.context)[:, None] * rates
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [B, H, T, D]; its first half and its second are the two coordinates that are turned."""
    one, other = x.chunk(2, -1)
    return torch.cat([one * cos - other * sin, one * sin + other * cos], -1)


class Attention(nn.Module):
    """Each token over those before it; heads share keys and values in groups."""

    def __init__(self, config: V3Config) -> None:
        super().__init__()
        self.config = config
        wide, narrow = config.width, config.kv_heads * config.head_width
        self.query, self.out = nn.Linear(wide, wide, bias=False), nn.Linear(wide, wide, bias=False)
        self.key, self.value = nn.Linear(wide, narrow, bias=False), nn.Linear(wide, narrow, bias=False)
        cos, sin = rotary_table(config)
        self.cos: Tensor
        self.sin: Tensor
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, C]; the same shape."""
        length, sizes = x.shape[1], (-1, self.config.head_width)
        q, k, v = (part(x).unflatten(-1, sizes).transpose(1, 2) for part in (self.query, self.key, self.value))
        q, k = (rotate(part, self.cos[:length], self.sin[:length]) for part in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)  # (B, H, T, D)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self, config: V3Config, feed_forward: Callable[[V3Config], nn.Module]) -> None:
        super().__init__()
        self.first, self.second = nn.RMSNorm(config.width, eps=1e-6), nn.RMSNorm(config.width, eps=1e-6)
        self.attention = Attention(config)
        self.feed_forward = feed_forward(config)
        self.checkpointing = False

    def forward(self, x: Tensor) -> Tensor:
        look = _again(self._look) if self.checkpointing and self.training else self._look
        x = x + look(x)
        return x + self.feed_forward(self.second(x))

    def _look(self, x: Tensor) -> Tensor:
        return self.attention(self.first(x))


class V3(nn.Module):
    """`feed_forward` is one of FEED_FORWARD."""

    def __init__(self, config: V3Config, feed_forward: Callable[[V3Config], nn.Module] = Mixture) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.width)
        self.layers = nn.ModuleList(Layer(config, feed_forward) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        self._begin()

    def forward(self, ids: Tensor) -> Tensor:
        """[B, T] to the logits of the next token [B, T, V]. T is at most the context."""
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))

    def balance(self) -> None:
        for router in routers(self):
            router.balance()

    def _begin(self) -> None:
        """Small, and what is added to the stream smaller with each addition."""
        for name, value in self.named_parameters():
            if value.ndim > 1:
                is_added = name.endswith(("w_out", "out.weight"))
                nn.init.normal_(value, std=0.02 * ((2 * self.config.layers) ** -0.5 if is_added else 1.0))


def routers(model: nn.Module) -> Iterator[Router]:
    return (module for module in model.modules() if isinstance(module, Router))


def checkpoint_activations(model: nn.Module) -> None:
    """Attention and the insides of experts are computed again in the backward pass; routing and what experts on other
    devices are sent is kept, so no token is counted or sent twice."""
    for module in model.modules():
        if hasattr(module, "checkpointing"):
            module.checkpointing = True


def active_parameters(model: V3) -> int:
    """Those that one token meets."""
    config, total = model.config, sum(value.numel() for value in model.parameters())
    spared = sum(value.numel() for module in model.modules() if isinstance(module, Experts)
                 for value in module.parameters()) * (config.experts - config.picked) // config.experts  # fmt: skip
    return total - spared


def _again(compute: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *given: checkpoint(compute, *given, use_reentrant=False)
