"""Experts on several processes: rows go where their expert is, are computed there, and come back.

The local experts are divided into chunks. While one chunk is computed the rows of the next are on their way to it and
the outputs of the one before on their way back, in the forward pass and in the backward pass alike (as Tutel does,
arXiv:2206.03382). An autograd function of its own, because autograd would put the transfers of the backward pass one
after the other.

Letters: R processes of the group, L = E / R local experts, N rows, C width, F hidden width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from workers.zoo.v3_moe import Experts

from .link import Link, Pending, exchange_counts


@dataclass(frozen=True, slots=True)
class Travel:
    """How rows travel, the same for every layer."""

    group: dist.ProcessGroup
    link: Link
    chunks: int = 2
    overlaps: bool = True
    keeps: bool = True
    """Hidden activations stay for the backward pass; otherwise they are computed again."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Rows of one layer and batch."""

    sent: list[list[int]]  # [R][L] of this process to each expert
    received: list[list[int]]  # [R][L] from each process for each local expert
    chunks: list[range]  # of local experts

    def splits(self, chunk: range) -> tuple[list[int], list[int]]:
        """Rows of a chunk that come from each process and that go to each."""
        return _sums(self.received, chunk), _sums(self.sent, chunk)


def _sums(counts: list[list[int]], chunk: range) -> list[int]:
    return [sum(row[place] for place in chunk) for row in counts]


class ParallelExperts(nn.Module):
    """In place of Experts: the same rows and counts, of which this process computes its own experts' share."""

    def __init__(self, experts: Experts, travel: Travel) -> None:
        super().__init__()
        size, place = dist.get_world_size(travel.group), dist.get_rank(travel.group)
        self.travel = travel
        self.w_in = nn.Parameter(experts.w_in.detach().chunk(size)[place].clone())  # (L, C, 2 F)
        self.w_out = nn.Parameter(experts.w_out.detach().chunk(size)[place].clone())  # (L, F, C)

    def forward(self, rows: Tensor, counts: Tensor) -> Tensor:
        """rows [N, C] sorted by expert, counts [E]. The same shape."""
        sent = counts.view(-1, len(self.w_in))
        received = exchange_counts(sent, self.travel.group)
        places = torch.arange(len(self.w_in)).chunk(self.travel.chunks)
        chunks = [range(int(some[0]), int(some[-1]) + 1) for some in places]
        routes = Routes(sent.tolist(), received.tolist(), chunks)
        out: Tensor = _Travelled.apply(rows, self.w_in, self.w_out, routes, self.travel)
        return out


class _Travelled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, w_in: Tensor, w_out: Tensor, routes: Routes, travel: Travel) -> Tensor:
        kept: list[Tensor] = []

        def compute(place: int, x: Tensor) -> Tensor:
            hidden = x @ w_in[place]
            kept.extend((x, hidden) if travel.keeps else (x,))
            gate, up = hidden.chunk(2, -1)
            return (F.silu(gate) * up) @ w_out[place]

        out = _there_and_back(rows, routes, travel, compute)
        ctx.save_for_backward(w_in, w_out, *kept)
        ctx.routes, ctx.travel = routes, travel
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        w_in, w_out, *kept = ctx.saved_tensors
        grad_in, grad_out = torch.empty_like(w_in), torch.empty_like(w_out)
        step = 2 if ctx.travel.keeps else 1

        def compute(place: int, grad_rows: Tensor) -> Tensor:
            x = kept[place * step]
            hidden = kept[place * step + 1] if ctx.travel.keeps else x @ w_in[place]
            gate, up = hidden.chunk(2, -1)
            smooth = gate.sigmoid()
            silu = gate * smooth
            torch.mm((silu * up).T, grad_rows, out=grad_out[place])
            inner = grad_rows @ w_out[place].T
            grad_hidden = torch.cat([inner * up * (smooth + silu * (1 - smooth)), inner * silu], -1)
            torch.mm(x.T, grad_hidden, out=grad_in[place])
            return grad_hidden @ w_in[place].T

        return _there_and_back(grad.contiguous(), ctx.routes, ctx.travel, compute), grad_in, grad_out, None, None


def _there_and_back(rows: Tensor, routes: Routes, travel: Travel, compute: Callable[[int, Tensor], Tensor]) -> Tensor:
    """rows [N, C] sorted by expert, each through `compute` of its expert, wherever that is; in the same order."""
    starts = _arrivals(rows, routes, travel)
    backs: list[tuple[Tensor, Pending]] = []
    for chunk, received in zip(routes.chunks, starts, strict=True):
        outputs = _by_expert(received, chunk, routes, compute)
        coming, going = routes.splits(chunk)
        back = rows.new_empty(sum(going), rows.shape[1])
        pending = travel.link.all_to_all(back, outputs, (going, coming), travel.group)
        if not travel.overlaps:
            pending.arrived()
        backs.append((back, pending))
    found: dict[tuple[int, int], Tensor] = {}  # process and local expert
    for chunk, (back, pending) in zip(routes.chunks, backs, strict=True):
        pending.arrived()
        keys = [(process, place) for process in range(len(routes.sent)) for place in chunk]
        found |= zip(keys, back.split([routes.sent[process][place] for process, place in keys]), strict=True)
    return torch.cat([found[key] for key in sorted(found)])


def _arrivals(rows: Tensor, routes: Routes, travel: Travel) -> Iterator[Tensor]:
    """What this process's experts get, chunk by chunk; when overlapping, the next chunk is sent before one is given."""
    ahead = 1 if travel.overlaps else 0
    segments = rows.split([count for row in routes.sent for count in row])
    local, waiting = len(routes.sent[0]), deque[tuple[Tensor, Pending]]()
    for number in range(len(routes.chunks) + ahead):
        if number < len(routes.chunks):
            chunk = routes.chunks[number]
            coming, going = routes.splits(chunk)
            sent = torch.cat([segments[process * local + place] for process in range(len(going)) for place in chunk])
            received = rows.new_empty(sum(coming), rows.shape[1])
            waiting.append((received, travel.link.all_to_all(received, sent, (coming, going), travel.group)))
        if number >= ahead:
            received, pending = waiting.popleft()
            pending.arrived()
            yield received


def _by_expert(received: Tensor, chunk: range, routes: Routes, compute: Callable[[int, Tensor], Tensor]) -> Tensor:
    """Rows come sorted by process, then expert; an expert computes those of all processes at once."""
    keys = [(process, place) for process in range(len(routes.received)) for place in chunk]
    counts = [routes.received[process][place] for process, place in keys]
    parts = dict(zip(keys, received.split(counts), strict=True))
    for place in chunk:
        own = [(process, place) for process in range(len(routes.received))]
        out = compute(place, torch.cat([parts[key] for key in own]))
        parts |= zip(own, out.split([len(parts[key]) for key in own]), strict=True)
    return torch.cat([parts[key] for key in keys])
