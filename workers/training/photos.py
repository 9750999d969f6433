"""Photos without a photo: what ImageNet's classifier is sure of, in the numbers that it reads.

A class is recognised by the direction of its weights. A drawing's numbers, moved so far along it that the classifier is
as sure as of a photo, stand for a photo of the class. Its names are WordNet's, in English.
"""

from __future__ import annotations

import random

import torch
from torch import Tensor

from workers.data import imagenet

_SURE = (6.0, 16.0)  # by how much the class's logit is raised over the others' mean
_KEPT = 0.6  # at most, of what makes a drawing itself


class Photos:
    """Raises DataMissing."""

    def __init__(self) -> None:
        weights = torch.load(imagenet.weights(), weights_only=True)["classifier.1.weight"]
        apart = weights - weights.mean(0)
        self.directions = apart / apart.square().sum(1, keepdim=True)  # one step raises the logit by one
        self.names = imagenet.class_names()

    def of_step(self, step: int, count: int, seed: int) -> tuple[list[int], list[str]]:
        """Classes, and one of the names of each."""
        source = random.Random(f"{seed} {step} photos")
        chosen = source.sample(range(len(self.names)), count)
        return chosen, [source.choice(self.names[place]) for place in chosen]

    def pretended(self, chosen: list[int], means: Tensor) -> Tensor:
        """[classes, channels], of what some drawings look like to the last stage, [B, channels]."""
        own = means[torch.randint(len(means), (len(chosen),))] - means.mean(0)
        sure = torch.empty(len(chosen), 1).uniform_(*_SURE)
        kept = torch.empty(len(chosen), 1).uniform_(0, _KEPT)
        return (means.mean(0) + kept * own + sure * self.directions[chosen]).clamp(min=0)
