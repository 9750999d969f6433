"""Gradients over the mesh. Each process's loss is its share of the whole batch's, so what has to be done is adding."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .link import Link
from .mesh import Mesh
from .stage import is_divided

_BUCKET = 4 * 2**20  # bytes that travel at once: few transfers, and the first of them begin early


def add_up(stage: nn.Module, mesh: Mesh, link: Link) -> None:
    """Everything over the processes of a stage; experts have had the rows of all `ep` and are added over copies."""
    sent = []
    for group, values in ((mesh.group("dp"), _gradients(stage, True)), (mesh.data, _gradients(stage, False))):
        for bucket in _buckets(values):
            flat = torch.cat([value.flatten() for value in bucket])
            sent.append((link.all_reduce(flat, group), flat, bucket))
    for pending, flat, bucket in sent:
        pending.arrived()
        for value, part in zip(bucket, flat.split([value.numel() for value in bucket]), strict=True):
            value.copy_(part.view_as(value))


def clip(stage: nn.Module, mesh: Mesh, longest: float) -> Tensor:
    """As clip_grad_norm_ of the whole model would; the length before."""
    squares = torch.zeros((), device=mesh.device)
    for divided, share in ((True, 1.0), (False, 1.0 / mesh.layout.ep)):
        for value in _gradients(stage, divided):
            squares += share * value.square().sum()
    dist.all_reduce(squares, group=mesh.group("ep"))
    dist.all_reduce(squares, group=mesh.group("pp"))
    length = squares.sqrt()
    factor = (longest / (length + 1e-6)).clamp(max=1.0)
    for value in stage.parameters():
        if value.grad is not None:
            value.grad.mul_(factor)
    return length


def _gradients(stage: nn.Module, divided: bool) -> list[Tensor]:
    return [
        value.grad for name, value in stage.named_parameters() if value.grad is not None and is_divided(name) is divided
    ]


def _buckets(values: list[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for value in values:
        bucket.append(value)
        if sum(one.nbytes for one in bucket) >= _BUCKET:
            yield bucket
            bucket = []
    if bucket:
        yield bucket
