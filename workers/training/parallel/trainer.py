"""A step of training on a mesh: 1F1B over micro-batches, gradients added up, clipped, applied, loads evened out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.pipelining import PipelineStage, Schedule1F1B
from torch.nn import functional as F

from workers.training.loop import Options, make_optimizer, schedule
from workers.zoo.v3_moe import V3, routers

from .experts import Travel
from .gradients import add_up, clip
from .link import Link
from .mesh import Mesh
from .stage import take


@dataclass(frozen=True, slots=True)
class Ways:
    """How a step is done; none of it changes what it computes."""

    micro_batches: int = 2
    """Parts that a process's share of the batch goes through the stages in; at least as many as stages."""
    chunks: int = 2
    """Parts that a process's experts are sent their rows in."""
    overlaps: bool = True


class Trainer:
    """`model` is the whole one, made alike in every process; `length` the tokens of a text."""

    def __init__(self, model: V3, mesh: Mesh, options: Options, ways: Ways, length: int, link: Link) -> None:
        self.mesh, self.options, self.link = mesh, options, link
        self.rows, rest = divmod(options.batch_size, mesh.layout.shares)
        if rest or self.rows % ways.micro_batches:
            raise ValueError(
                f"A batch of {options.batch_size} cannot be {mesh.layout.shares} shares of {ways.micro_batches} parts"
            )
        travel = Travel(mesh.group("ep"), link, ways.chunks, ways.overlaps, keeps=not options.checkpointing)
        place, stages = mesh.place("pp"), mesh.layout.pp
        self.stage = take(model, place, stages, travel).to(mesh.device)
        self.optimizer = make_optimizer(self.stage, options)
        self.loads: dict[str, Tensor] = {}
        """Of the last step, of each layer of the stage: how often each expert was picked [E] by all copies."""
        self._parts = mesh.layout.shares * ways.micro_batches
        rows = self.rows // ways.micro_batches
        self._schedule = Schedule1F1B(
            self._pipeline_stage(model, place, stages, (rows, length)), ways.micro_batches, self._loss,
            scale_grads=False,
        )  # fmt: skip

    def step(self, number: int, batch: Tensor) -> float:
        """The loss of the whole batch [rows of all, T + 1], the same in every process."""
        loss = self.backward(batch)
        clip(self.stage, self.mesh, self.options.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * group["factor"] * schedule(number, self.options)
        self.optimizer.step()
        self._balance()
        return loss

    def backward(self, batch: Tensor) -> float:
        """The loss; gradients are those of the whole batch."""
        self.stage.train()
        self.optimizer.zero_grad(set_to_none=True)
        own = batch.chunk(self.mesh.layout.shares)[self.mesh.share].to(self.mesh.device)
        losses: list[Tensor] = []
        given: dict[str, Any] = {"target": own[:, 1:], "losses": losses} if self.stage.is_last else {}
        self._schedule.step(*([own[:, :-1]] if self.stage.is_first else []), **given)
        add_up(self.stage, self.mesh, self.link)
        loss = sum(losses, torch.zeros((), device=self.mesh.device)).detach()
        dist.all_reduce(loss)
        return float(loss)

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Of a micro-batch, as its share of the whole batch's."""
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten()) / self._parts

    def _balance(self) -> None:
        found = list(routers(self.stage))
        if found:
            loads = torch.stack([router.load for router in found])
            dist.all_reduce(loads, group=self.mesh.data)
            self.loads = dict(zip(self.stage.layers, loads, strict=True))
            for router, load in zip(found, loads, strict=True):
                router.load.copy_(load)
                router.balance()

    def _pipeline_stage(self, model: V3, place: int, stages: int, ids: tuple[int, int]) -> PipelineStage:
        """Shapes are told: to find them out torch would run the stage, and its transfers, once more."""
        between = torch.empty(*ids, model.config.width, requires_grad=True)
        given = torch.empty(ids, dtype=torch.long) if place == 0 else between
        out = torch.empty(*ids, model.config.vocab_size, requires_grad=True) if place == stages - 1 else between
        return PipelineStage(
            self.stage, place, stages, self.mesh.device, input_args=given, output_args=out, group=self.mesh.group("pp")
        )
