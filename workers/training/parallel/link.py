"""What rows and gradients travel over: the process group itself, a slower one that is emulated, or nothing at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(slots=True)
class Pending:
    """A transfer on its way. `arrived` blocks until what was received may be read."""

    arrived: Callable[[], object]


class Link:
    """The process group as it is."""

    def all_to_all(
        self, received: Tensor, sent: Tensor, splits: tuple[list[int], list[int]], group: dist.ProcessGroup
    ) -> Pending:
        """`splits` are the rows that come from each and those that go to each."""
        work = dist.all_to_all_single(received, sent, *splits, group=group, async_op=True)
        return Pending(work.wait)

    def all_reduce(self, values: Tensor, group: dist.ProcessGroup) -> Pending:
        """The sum, in place."""
        return Pending(dist.all_reduce(values, group=group, async_op=True).wait)


class EmulatedLink(Link):
    """The process group with a delay: no transfer arrives before it would over such a link. Waiting takes no processor
    time, unlike gloo's own work, so it shows what overlapping is worth where network cards do the sending."""

    def __init__(self, latency: float, bandwidth: float) -> None:
        """Seconds, and bytes a second in each direction."""
        self._latency, self._bandwidth = latency, bandwidth
        self._free = 0.0  # when the link has sent what it was given

    def all_to_all(
        self, received: Tensor, sent: Tensor, splits: tuple[list[int], list[int]], group: dist.ProcessGroup
    ) -> Pending:
        own = splits[1][dist.get_rank(group)] * sent[:1].nbytes  # stays here
        return self._delayed(super().all_to_all(received, sent, splits, group), sent.nbytes - own)

    def all_reduce(self, values: Tensor, group: dist.ProcessGroup) -> Pending:
        size = dist.get_world_size(group)
        return self._delayed(super().all_reduce(values, group), 2 * values.nbytes * (size - 1) // size)

    def _delayed(self, pending: Pending, size: int) -> Pending:
        begins = max(time.monotonic(), self._free)
        self._free = begins + size / self._bandwidth
        arrives = self._free + self._latency

        def arrived() -> None:
            pending.arrived()
            time.sleep(max(0.0, arrives - time.monotonic()))

        return Pending(arrived)


class NoLink(Link):
    """Nothing travels: each keeps its own, cut or filled with zeros to the right size. For measuring how long a step
    computes; what it computes is wrong."""

    def all_to_all(
        self, received: Tensor, sent: Tensor, splits: tuple[list[int], list[int]], group: dist.ProcessGroup
    ) -> Pending:
        kept = min(len(received), len(sent))
        received[:kept] = sent[:kept]
        received[kept:] = 0
        return Pending(lambda: None)

    def all_reduce(self, values: Tensor, group: dist.ProcessGroup) -> Pending:
        return Pending(lambda: None)


def exchange_counts(counts: Tensor, group: dist.ProcessGroup) -> Tensor:
    """counts [ep, L] that go to each process; those that come from each."""
    received = torch.empty_like(counts)
    dist.all_to_all_single(received, counts, group=group)
    return received
