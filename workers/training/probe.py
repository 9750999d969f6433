"""What representations are worth: logistic regression on them, and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_PENALTY = 1e-3  # times half of the squared weights, added to the mean loss


class Probe:
    """Standardises features [N, D] and weighs them; `logits` gives [N, classes]."""

    def __init__(self, features: Tensor, labels: Tensor, classes: int, penalty: float = _PENALTY) -> None:
        self._mean, self._deviation = features.mean(0), features.std(0).clamp(min=1e-6)
        scaled = (features - self._mean) / self._deviation
        with torch.inference_mode(False), torch.enable_grad():
            self._weight, self._bias = _fitted(scaled.clone(), labels, classes, penalty)

    def logits(self, features: Tensor) -> Tensor:
        return (features - self._mean) / self._deviation @ self._weight + self._bias

    def accuracy(self, features: Tensor, labels: Tensor) -> float:
        return float((self.logits(features).argmax(-1) == labels).float().mean())


def _fitted(scaled: Tensor, labels: Tensor, classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    weight = torch.zeros(scaled.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(scaled @ weight + bias, labels) + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach(), bias.detach()
