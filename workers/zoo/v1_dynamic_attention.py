"""Dyadic range attention: exact nearby, ever coarser further away, as far as each query asks. O(T log T).

- Beltagy et al. 2020, Longformer, arXiv:2004.05150: window and global tokens.
- Zhu and Soricut 2021, H-Transformer-1D, arXiv:2107.11906: coarser summaries at greater distance.
- Sukhbaatar et al. 2019, Adaptive Attention Span, arXiv:1905.07799: a learned range with a soft ramp.
- Devlin et al. 2019, BERT, arXiv:1810.04805: everything around the attention, so that its weights can be taken over.

The text is cut into blocks of W tokens. A query sees the blocks i-1, i, i+1 token by token; on level j it sees c
summaries a side of the blocks at distance (2^(j-1), 2^j]; and the first g tokens always. A summary pools by learned
mass a = exp(u.x): key sum(a k) / sum(a), value likewise, and log sum(a) is added to its score, so a summary of one
token, or of equal tokens with a = 1, counts as those tokens would. Each query and head asks for z = L sigmoid(u.x + b)
levels; level j weighs clamp((z - j) / R + 1, 0, 1).

Letters: B batch, T tokens, N blocks, W window, c summaries, L levels, g globals, H heads, D head width, C width,
R rows of the table of keys, K keys of a query = 3 W + g + 2 c L.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

_TIE = 1e-5  # of a level: of blocks that ask alike the first goes first, whatever does the sorting
_NOTHING = 1e-9  # mass of a summary of nothing; of one token at least exp(-10)
_NEVER = -1e4  # added to the score of a key that is not there; small enough for fp16


@dataclass(frozen=True, slots=True)
class V1Config:
    vocab_size: int
    labels: int
    width: int = 128
    layers: int = 2
    heads: int = 4
    hidden: int = 512
    """Width between the two matrices of the feed-forward part."""
    positions: int = 512
    """Learned positions; a longer text begins with the first again."""
    pad_id: int = 0
    dropout: float = 0.1
    window: int = 128
    summaries: int = 8
    """c: of one level, on one side."""
    levels: int = 7
    """L: the reach is window * 2^levels tokens a side; 0 is window attention alone."""
    global_tokens: int = 4
    ramp: float = 1.0
    pooling: Literal["mass", "mean"] = "mass"
    reach: Literal["predicted", "fixed", "random"] = "predicted"
    """`fixed` is every level for everybody, `random` draws z anew each time: both to compare with."""
    readout: Literal["mean", "first"] = "mean"
    """The label is read from the mean of the tokens' vectors, or from the first token's."""
    head_group: int = 3
    """Heads computed at a time: bounds memory, changes no result."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        for name in ("window", "summaries"):
            if getattr(self, name).bit_count() != 1:
                raise ValueError(f"{name} must be a power of two, not {getattr(self, name)}")
        if self.summaries > self.window or not 0 < self.global_tokens <= self.window:
            raise ValueError("summaries and global_tokens must be at most the window, and one token must be global")

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def longest(self) -> int:
        """Tokens of the longest text in which every token can reach every other."""
        return self.window * (2**self.levels + 1)

    def pooled(self, level: int) -> int:
        """Tokens of one summary on that level, from 1."""
        return self.window * 2 ** (level - 1) // self.summaries


def small(vocab_size: int, labels: int, **changes: Any) -> V1Config:
    """0.4 million parameters and an embedding: what one core trains in minutes."""
    return V1Config(vocab_size, labels, **{"window": 16, "summaries": 4, "levels": 5, "global_tokens": 1, **changes})


def base(vocab_size: int = 30522, labels: int = 2, **changes: Any) -> V1Config:
    """120 million parameters in 12 layers: BERT base with positions up to 16,384."""
    sizes = {"width": 768, "layers": 12, "heads": 12, "hidden": 3072, "positions": 16384}
    return V1Config(vocab_size, labels, **{**sizes, **changes})


class Layout(NamedTuple):
    """What every layer needs to know of the texts; made once a forward pass."""

    mask: Tensor  # [B, N W] 1 where a token is, 0 behind the end
    pooled: Tensor  # [B, N W] the same without the global tokens, which have keys of their own
    absent: Tensor  # [B, 1, r, 1] what is added to the score of the first r rows of the table, which are single tokens
    levels: Tensor  # [R, L] one-hot of the level of a row of the table, nothing for single tokens
    index: Tensor  # [N, K] rows of the table that a block's queries see; nearest first
    blocks: int
    tokens: int


def lay_out(mask: Tensor, config: V1Config) -> Layout:
    """`mask` [B, T]; its first token must be 1, as a softmax over nothing means nothing."""
    tokens, device = mask.shape[1], mask.device
    blocks = (tokens + config.window - 1) // config.window
    whole = F.pad(mask.float(), (0, blocks * config.window - tokens))
    is_global = torch.arange(blocks * config.window, device=device) < config.global_tokens
    pooled = whole * (~is_global)
    absent = (1 - _single(whole[:, None, :, None], pooled[:, None, :, None], config)) * _NEVER
    marks = torch.eye(config.levels, device=device)
    counts = [_rows(blocks, level, config) for level in range(1, config.levels + 1)]
    parts = [marks.new_zeros(absent.shape[2], config.levels)]
    parts += [mark.expand(count, -1) for mark, count in zip(marks, counts, strict=True)]
    return Layout(whole, pooled, absent, torch.cat(parts), _index(blocks, config, device), blocks, tokens)


def _single(first: Tensor, tokens: Tensor, config: V1Config) -> Tensor:
    """Rows of the table that are single tokens: the globals, and all with a block of nothing on each side; [..., r, D]
    of [..., N W, D]."""
    nothing = torch.zeros_like(tokens[..., : config.window, :])
    return torch.cat([first[..., : config.global_tokens, :], nothing, tokens, nothing], -2)


def _index(blocks: int, config: V1Config, device: torch.device) -> Tensor:
    """[N, K]. The table's parts in order: single tokens, levels 1 to L."""
    w, g = config.window, config.global_tokens
    block = torch.arange(blocks, device=device)[:, None]  # [N, 1]
    near = g + block * w + torch.arange(3 * w, device=device)
    columns = [near, torch.arange(g, device=device).expand(blocks, g)]
    begin = g + (blocks + 2) * w
    for level in range(1, config.levels + 1):
        columns.append(begin + _ring(block, level, config))
        begin = begin + _rows(blocks, level, config)
    return torch.cat(columns, 1)


def _ring(block: Tensor, level: int, config: V1Config) -> Tensor:
    """[N, 2 c] places in the part of `level`; outside the text the nearest place, where nothing is."""
    c, pooled, far = config.summaries, config.pooled(level), 2**level
    starts = torch.tensor([-far, far // 2 + 1], device=block.device)  # in blocks; left, right
    if pooled <= config.window:
        chunks = config.window // pooled  # a block
        place = ((block + starts) * chunks)[..., None] + torch.arange(c, device=block.device)  # [N, 2, c]
        return _within(place, 1, (block[-1:] + 1) * chunks).flatten(1)
    step = pooled // config.window  # blocks
    place = (block + starts)[..., None] + torch.arange(c, device=block.device) * step
    return _within(place, step, block[-1:] + 1).flatten(1)


def _within(place: Tensor, before: int, last: Tensor) -> Tensor:
    """Places -before to last, counted from 0; nothing is in the first and the last."""
    return torch.minimum(place.clamp(min=-before), last[..., None]) + before


def _rows(blocks: int, level: int, config: V1Config) -> int:
    pooled = config.pooled(level)
    if pooled <= config.window:
        return blocks * (config.window // pooled) + 2
    return blocks + pooled // config.window + 1


class Table(NamedTuple):
    """Keys with what is added to their score, and values. A key's last L + 1 numbers are the one-hot of its level and
    its bias: against a query that ends in the weights of the levels and a 1, one product gives the whole score."""

    keys: Tensor  # [B, H, R, D + L + 1]
    values: Tensor  # [B, H, R, D]


class DynamicAttention(nn.Module):
    def __init__(self, config: V1Config) -> None:
        super().__init__()
        self.config = config
        self.query, self.key, self.value = (nn.Linear(config.width, config.width) for _ in range(3))
        self.mass = nn.Linear(config.width, config.heads, bias=False)
        self.range = nn.Linear(config.width, config.heads)
        self.level_bias = nn.Parameter(torch.zeros(config.heads, config.levels))
        self.tiers: tuple[float, ...] | None = None
        """Packed inference: the share of the blocks, per level, that may use it; never growing. None is masked."""
        nn.init.zeros_(self.mass.weight)
        nn.init.normal_(self.range.weight, std=0.02)
        nn.init.constant_(self.range.bias, 4.0)  # nearly everything, to begin with

    def prepare(self, mask: Tensor) -> Layout:
        return lay_out(mask, self.config)

    def forward(self, x: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """x [B, T, C] to [B, T, C], and z [B, T, H]: the levels that were asked for."""
        whole = F.pad(x, (0, 0, 0, layout.mask.shape[1] - layout.tokens))
        mixed, reach = self.attend(whole, self.query(whole), self.key(whole), self.value(whole), layout)
        return mixed[:, : layout.tokens], reach[:, : layout.tokens]

    def attend(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
        """The same of whole blocks, [B, N W, C] each."""
        reach = self.levels_asked(x)
        q, k, v = (part.unflatten(-1, (self.config.heads, -1)).transpose(1, 2) for part in (q, k, v))  # (B, H, N W, D)
        asked = reach.transpose(1, 2)  # (B, H, N W)
        queries, table = self._queries(q, asked, layout), self._table(x, k, v, layout)
        mixed = []
        for start in range(0, self.config.heads, self.config.head_group):
            heads = slice(start, start + self.config.head_group)
            some = Table(*(part[:, heads] for part in table))
            mixed.append(self._mix(queries[:, heads], some, asked[:, heads], layout))
        return torch.cat(mixed, 1).permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2), reach

    def levels_asked(self, x: Tensor) -> Tensor:
        """z [B, T, H] in 0 to L."""
        asked = self.range(x)
        if self.config.reach == "fixed":
            asked = torch.full_like(asked, 100.0)
        elif self.config.reach == "random":
            return self.config.levels * torch.rand_like(asked)
        return self.config.levels * torch.sigmoid(asked)

    def _queries(self, q: Tensor, asked: Tensor, layout: Layout) -> Tensor:
        """[B, H, N, W, D + L + 1]"""
        far = self._level_scores(asked)  # (B, H, N W, L)
        whole = torch.cat([q * self.config.head_width**-0.5, far, torch.ones_like(q[..., :1])], -1)
        return whole.unflatten(2, (layout.blocks, self.config.window))

    def _level_scores(self, asked: Tensor) -> Tensor:
        """log of the ramp; [B, H, N W] to [B, H, N W, L]"""
        level = torch.arange(1, self.config.levels + 1, device=asked.device)
        weight = ((asked[..., None] - level) / self.config.ramp + 1).clamp(0.0, 1.0)
        return torch.where(weight > 0, weight.clamp(min=1e-6).log() + self.level_bias[:, None], _NEVER)

    def _table(self, x: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Table:
        config, width = self.config, self.config.head_width
        keys, values = [_single(k, k, config)], [_single(v, v, config)]
        bias = [layout.absent.expand(-1, config.heads, -1, -1)]
        if config.levels:
            sums = torch.cat(list(self._sums(x, k, v, layout.pooled)), 2)
            of_keys, of_values, mass = sums.split([width, width, 1], -1)
            share = 1 / mass.clamp(min=_NOTHING)
            keys.append(of_keys * share)
            values.append(of_values * share)
            bias.append(torch.where(mass > _NOTHING, mass.clamp(min=_NOTHING).log(), _NEVER))
        levels = layout.levels.expand(x.shape[0], config.heads, -1, -1)
        return Table(torch.cat([torch.cat(keys, 2), levels, torch.cat(bias, 2)], -1), torch.cat(values, 2))

    def _sums(self, x: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Iterator[Tensor]:
        """Of a k, a v and a, level by level; [B, H, rows, 2 D + 1]"""
        mass = self.mass(x).clamp(-10.0, 10.0)  # (B, N W, H)
        if self.config.pooling == "mean":
            mass = torch.zeros_like(mass)
        mass = (mass.exp() * mask[..., None]).transpose(1, 2)[..., None]  # (B, H, N W, 1)
        least = (-1, self.config.pooled(1))
        sums = torch.cat([part.unflatten(2, least).sum(3) for part in (k * mass, v * mass, mass)], -1)
        for level in range(1, self.config.levels + 1):
            step = self.config.pooled(level) // self.config.window  # blocks of one sum
            if step > 1:  # a sum from every block on, of two that are half as long
                sums = F.pad(sums, (0, 0, step // 2, 0)) + F.pad(sums, (0, 0, 0, step // 2))
            elif level > 1:
                sums = sums.unflatten(2, (-1, 2)).sum(3)
            if step == 1:
                sums = F.pad(sums, (0, 0, 1, 1))
            yield sums if step else F.pad(sums, (0, 0, 1, 1))

    def _mix(self, queries: Tensor, table: Table, asked: Tensor, layout: Layout) -> Tensor:
        """[B, h, N, W, D], for some of the heads."""
        if self.tiers is not None:
            return self._packed(queries, table, asked, layout)
        keys, values = (
            part.index_select(2, layout.index.flatten()).unflatten(2, layout.index.shape) for part in table
        )  # (B, h, N, K, .)
        return (queries @ keys.transpose(-1, -2)).softmax(-1) @ values

    def _packed(self, queries: Tensor, table: Table, asked: Tensor, layout: Layout) -> Tensor:
        """Blocks sorted by the furthest range asked for, per head; each tier of them is one dense attention."""
        assert self.tiers is not None
        config = self.config
        furthest = (asked * layout.mask[:, None]).unflatten(2, (layout.blocks, config.window)).amax(3)  # (B, h, N)
        order = (furthest - _TIE * torch.arange(layout.blocks, device=asked.device)).argsort(-1, descending=True)
        mixed = []
        for levels, begin, end in spans(self.tiers, layout.blocks):
            chosen = order[..., begin:end]  # (B, h, n)
            columns = 3 * config.window + config.global_tokens + 2 * config.summaries * levels
            q, rows = _take(queries, chosen), layout.index[:, :columns][chosen]  # (B, h, n, W, .), (B, h, n, K')
            keys, values = (_take(part, rows) for part in table)
            mixed.append((q @ keys.transpose(-1, -2)).softmax(-1) @ values)
        return _take(torch.cat(mixed, 2), order.argsort(-1))


def _take(rows: Tensor, places: Tensor) -> Tensor:
    """rows [B, h, R, ...] at places [B, h, ...]: whole rows are copied, which gather would do number by number."""
    batch, heads, count, *row = rows.shape
    base = torch.arange(batch * heads, device=rows.device).view(batch, heads, *(1 for _ in places.shape[2:])) * count
    return F.embedding(places + base, rows.flatten(0, 2).flatten(1)).unflatten(-1, row)


def spans(tiers: Sequence[float], blocks: int) -> list[tuple[int, int, int]]:
    """(levels, begin, end) of the sorted blocks: those that may use most levels first. A span may be empty, as an
    exported graph asks nothing of the length; only those that are empty whatever it is are left out."""
    shares = [Fraction(share).limit_denominator(64) for share in tiers]
    ends = [(blocks * share.numerator + share.denominator - 1) // share.denominator for share in shares]
    found, before = [], (Fraction(0), 0)
    for levels, this in reversed(list(enumerate(zip([Fraction(1), *shares], [blocks, *ends], strict=True)))):
        if this[0] > before[0]:
            found.append((levels, before[1], this[1]))
            before = this
    return found


class Layer(nn.Module):
    """As in BERT: each half is added to its input and normalised afterwards."""

    def __init__(self, config: V1Config, attention: type[nn.Module]) -> None:
        super().__init__()
        self.attention = attention(config)
        self.attention_output = nn.Linear(config.width, config.width)
        self.attention_norm = nn.LayerNorm(config.width, eps=1e-12)
        self.up, self.down = nn.Linear(config.width, config.hidden), nn.Linear(config.hidden, config.width)
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, layout: Any) -> tuple[Tensor, Tensor]:
        mixed, reach = self.attention(x, layout)
        x = self.attention_norm(x + self.dropout(self.attention_output(mixed)))
        return self.norm(x + self.dropout(self.down(F.gelu(self.up(x))))), reach


class Embeddings(nn.Module):
    def __init__(self, config: V1Config) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.width, padding_idx=config.pad_id)
        self.position = nn.Embedding(config.positions, config.width)
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.dropout = nn.Dropout(config.dropout)
        for table in (self.word, self.position):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device) % self.position.num_embeddings
        return self.dropout(self.norm(self.word(ids) + self.position(places)))


class Encoder(nn.Module):
    def __init__(self, config: V1Config, attention: type[nn.Module] = DynamicAttention) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config, attention) for _ in range(config.layers))
        self.checkpointing = False
        """Compute a layer again in the backward pass instead of keeping what is inside it."""

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """ids, mask [B, T] to hidden [B, T, C] and the levels asked for [B, layers, H, T]."""
        x, reaches = self.embeddings(ids), []
        layout = self.layers[0].attention.prepare(mask)
        for layer in self.layers:
            again = self.checkpointing and torch.is_grad_enabled()
            x, reach = checkpoint(layer, x, layout, use_reentrant=False) if again else layer(x, layout)
            reaches.append(reach.transpose(1, 2))
        return x, torch.stack(reaches, 1)


class Classifier(nn.Module):
    """The mean of the tokens' vectors or the first of them, and one matrix."""

    def __init__(self, config: V1Config, attention: type[nn.Module] = DynamicAttention) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config, attention)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, config.labels)
        self.tiers: tuple[float, ...] | None = None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T] twice, to logits [B, labels] and the levels asked for [B, layers, H, T]."""
        hidden, reach = self.encoder(input_ids, attention_mask)
        return self.head(self.dropout(self._read(hidden, attention_mask))), reach

    def _read(self, hidden: Tensor, mask: Tensor) -> Tensor:
        if self.config.readout == "first":
            return hidden[:, 0]
        weight = mask[..., None].to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1.0)

    def pack(self, tiers: tuple[float, ...] | None) -> None:
        """Packed inference with these shares of the blocks per level; None goes back to masked. Raises ValueError."""
        if tiers is not None and (len(tiers) != self.config.levels or list(tiers) != sorted(tiers, reverse=True)
                                  or not all(0 <= share <= 1 for share in tiers)):  # fmt: skip
            raise ValueError(f"{self.config.levels} shares from 1 to 0, none larger than the one before it")
        self.tiers = tiers
        for layer in self.encoder.layers:
            layer.attention.tiers = tiers
