"""Pictures of one drawer as others would have drawn them: shape, colours, shading and sharpness by chance.

Everything is drawn from torch's global generator, which the training loop seeds for each step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_GREY = torch.tensor([0.299, 0.587, 0.114])
_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def varied(pixels: Tensor) -> Tensor:
    """[B, 3, Y, X] between 0 and 1, on white, to the same."""
    x = _bent(pixels)
    x = _recoloured(x)
    x = torch.where(pixels.new_zeros(len(x), 1, 1, 1).bernoulli_(0.6) > 0, _shaded(x), x)
    return _softened(x).clamp(0, 1)


def _uniform(x: Tensor, least: float, most: float, *shape: int) -> Tensor:
    return torch.empty(len(x), *(shape or (1, 1, 1)), dtype=x.dtype).uniform_(least, most)


def _bent(x: Tensor) -> Tensor:
    """Turned, moved, made larger or smaller, and each part a little differently."""
    count = len(x)
    turn = _uniform(x, -0.25, 0.25, 1).squeeze(1)
    wide, high = (_uniform(x, 0.85, 1.25, 1).squeeze(1) for _ in range(2))
    lean = _uniform(x, -0.12, 0.12, 1).squeeze(1)
    right, down = (_uniform(x, -0.12, 0.12, 1).squeeze(1) for _ in range(2))
    rows = [torch.stack([turn.cos() * wide, lean - turn.sin(), right], -1),
            torch.stack([lean + turn.sin(), turn.cos() * high, down], -1)]  # fmt: skip
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    waves = F.interpolate(0.05 * torch.randn(count, 2, 5, 5), size=x.shape[2:], mode="bicubic", align_corners=True)
    return 1 - F.grid_sample(1 - x, grid + waves.permute(0, 2, 3, 1), align_corners=False)


def _recoloured(x: Tensor) -> Tensor:
    """Another hue, a little mostly and any now and then; stronger, paler or none; lighter or darker."""
    anything = torch.rand(len(x)) < 0.08
    angle = torch.where(anything, (2 * torch.rand(len(x)) - 1) * torch.pi, 0.25 * torch.randn(len(x)))
    strength = _uniform(x, 0.5, 1.5, 1).squeeze(1) * (torch.rand(len(x)) > 0.06)
    cos, sin, zero, one = angle.cos() * strength, angle.sin() * strength, torch.zeros(len(x)), torch.ones(len(x))
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], -1).view(-1, 3, 3)
    matrix = torch.linalg.inv(_TO_YIQ) @ turn @ _TO_YIQ
    mixed = torch.einsum("bij,bjyx->biyx", matrix, x)
    gamma = _uniform(x, -0.5, 0.5).exp()
    return mixed.clamp(1e-3, 1) ** gamma


def _shaded(x: Tensor) -> Tensor:
    """Lighter towards one side; what is white stays so."""
    rows, columns = (torch.linspace(-1, 1, size) for size in x.shape[2:])
    slope = _uniform(x, -0.3, 0.3) * rows[:, None] + _uniform(x, -0.3, 0.3) * columns
    light = 1 + slope + _uniform(x, -0.15, 0.15)
    return torch.where(x.amin(1, keepdim=True) > 0.97, x, x * light)


def _softened(x: Tensor) -> Tensor:
    """Blurred, and a part of it covered."""
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = torch.lerp(x, soft, _uniform(x, 0, 1))
    rows, columns = (torch.linspace(0, 1, size) for size in x.shape[2:])
    top, left, high, wide = (_uniform(x, *span) for span in ((0, 0.8), (0, 0.8), (0.1, 0.35), (0.1, 0.35)))
    covered = (rows[:, None] > top) & (rows[:, None] < top + high) & (columns > left) & (columns < left + wide)
    covered &= torch.rand(len(x), 1, 1, 1) < 0.3
    return torch.where(covered, torch.rand(len(x), 3, 1, 1), x)
