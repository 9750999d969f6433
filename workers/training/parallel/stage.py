"""The layers of one process, under the names that they have in the whole model."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from workers.zoo.v3_moe import V3, Experts, Mixture, checkpoint_activations

from .experts import ParallelExperts, Travel


class Stage(nn.Module):
    """Layers in a row; the first stage has the table of tokens too, the last the head."""

    def __init__(self, model: V3, place: int, stages: int) -> None:
        super().__init__()
        self.is_first, self.is_last = place == 0, place == stages - 1
        if self.is_first:
            self.embed = model.embed
        names = torch.arange(len(model.layers)).tensor_split(stages)[place].tolist()
        self.layers = nn.ModuleDict({str(name): model.layers[name] for name in names})
        if self.is_last:
            self.norm, self.head = model.norm, model.head

    def forward(self, x: Tensor) -> Tensor:
        """Ids [B, T] in the first stage, otherwise [B, T, C]; the same, logits [B, T, V] from the last."""
        if self.is_first:
            x = self.embed(x)
        for layer in self.layers.values():
            x = layer(x)
        return self.head(self.norm(x)) if self.is_last else x


def take(model: V3, place: int, stages: int, travel: Travel) -> Stage:
    """This process's part of a model that every process has made alike. Raises ValueError."""
    if stages > len(model.layers):
        raise ValueError(f"{len(model.layers)} layers cannot be {stages} stages")
    stage = Stage(model, place, stages)
    if not travel.keeps:
        checkpoint_activations(stage)
    for module in stage.modules():
        if isinstance(module, Mixture):
            module.experts = cast(Experts, ParallelExperts(module.experts, travel))
    return stage


def is_divided(name: str) -> bool:
    """A parameter of experts, of which each process has its own."""
    return ".experts." in name
