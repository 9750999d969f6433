"""Where training begins when both towers know something: pictures are told apart by what stays when they are varied,
and texts are sent to the pictures that they name, each in one step.

Linear discriminants (Rao 1948) find half of the pictures of a drawer who was never seen before the first gradient,
where a random map finds a sixth; a linear map that fits best (ridge regression) brings half of the names to their own
picture. By gradients from random maps that took longer than everything else.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workers.zoo.v2_cmab import CMAB, PictureTower

_RIDGE = 10.0
_LENGTH = 16.0  # of a vector before it is normalised; what a random map would give
SHRUNK = 0.3  # of the mean variance: what is added to that of each direction
_TRUST = 2.0  # of the finer depths at first, before the sigmoid


@torch.no_grad()
def tell_apart(tower: PictureTower, mean: Tensor, finer: Tensor) -> None:
    """Of pictures that were varied n times, what the vector is made of: `mean` [n, N, channels], `finer` [n, N, ...].
    Changes the layers that make the vector, and what their norms take for the mean of all."""
    sides = [(mean, tower.vector)] + ([(finer, tower.layout)] if tower.layout is not None else [])
    drawn = torch.cat([_as_normed(found, layers) for found, layers in sides], 2)
    own = drawn.mean(0)
    within = drawn.sub_(own).flatten(0, 1)
    spread = within.T @ within / len(within)
    spread.diagonal().add_(SHRUNK * spread.diagonal().mean())
    root = torch.linalg.cholesky(spread)
    apart = torch.linalg.solve_triangular(root, own.T, upper=False) / len(own) ** 0.5  # (D, N)
    directions, length, _ = torch.linalg.svd(apart, full_matrices=False)
    count = tower.vector[1].weight.shape[0]
    kept = min(count, len(length))
    weight = torch.linalg.solve_triangular(root.T, directions[:, :kept], upper=True)
    weight = weight * (length[:kept] / (1 + length[:kept] ** 2).sqrt())  # a direction counts by how sure it is
    weight = weight * _LENGTH / (own @ weight).norm(dim=1).mean()
    weight = nn.functional.pad(weight, (0, count - kept)).T  # (E, D)
    tower.vector[1].weight.copy_(weight[:, : mean.shape[2]])
    if tower.layout is not None and tower.trust is not None:
        tower.trust.weight.zero_()
        tower.trust.bias.fill_(_TRUST)
        tower.layout[1].weight.copy_(weight[:, mean.shape[2] :] / tower.trust.bias.sigmoid())


def _as_normed(found: Tensor, layers: nn.Sequential) -> Tensor:
    """Told to the norm in front of the layers, and as it gives it on, [n, N, ...]."""
    norm = layers[0]
    assert isinstance(norm, nn.BatchNorm1d)
    norm.running_mean, norm.running_var = found.mean((0, 1)), found.var((0, 1))
    return norm.eval()(found.flatten(0, 1)).view(found.shape)


@torch.no_grad()
def send(model: CMAB, pictures: Tensor, texts: list[tuple[Tensor, Tensor]]) -> None:
    """`pictures` are the vectors [N, E], `texts` ids and mask of their N names in each language. Changes the last layer
    of the text tower, and what its norm takes for the mean of all."""
    means = torch.cat([_means(model, *one) for one in texts])
    norm, linear = model.texts.vector
    assert isinstance(norm, nn.BatchNorm1d) and isinstance(linear, nn.Linear)
    norm.running_mean, norm.running_var = means.mean(0), means.var(0)
    found = norm.eval()(means)
    wanted = pictures.repeat(len(texts), 1)
    map_ = torch.linalg.solve(found.T @ found + _RIDGE * torch.eye(found.shape[1]), found.T @ wanted)
    linear.weight.copy_(map_.T * _LENGTH / (found @ map_).norm(dim=1).mean())
    linear.bias.zero_()


def _means(model: CMAB, ids: Tensor, mask: Tensor) -> Tensor:
    return torch.cat([model.texts.look(*part)[0] for part in zip(ids.split(256), mask.split(256), strict=True)])
