"""Residual networks for pictures: ResNet-50, and a small one for pictures of 64 pixels.

- He et al. 2016, arXiv:1512.03385: residual and bottleneck blocks.
- Goyal et al. 2017, arXiv:1706.02677: a block begins as the identity (its last norm is zero).

Letters: B batch, C channels, Y and X rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class ResNetConfig:
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    """Of the stages C2 to C5."""
    width: int = 64
    """Channels inside the blocks of C2; each stage has twice as many as the one before."""
    expansion: int = 4
    """Channels of a bottleneck block are so many times those inside it; 1 is the basic block of two convolutions."""
    strides: tuple[int, ...] = (1, 2, 2, 2)
    is_pooled: bool = True
    """The stem takes a quarter of the rows (7 x 7, stride 2, then pooled); else it keeps them all (3 x 3)."""

    def __post_init__(self) -> None:
        if len(self.blocks) != len(self.strides):
            raise ValueError("blocks and strides must be of the same stages")

    @property
    def channels(self) -> tuple[int, ...]:
        """Of what each stage gives."""
        return tuple(self.width * 2**stage * self.expansion for stage in range(len(self.blocks)))


RESNET_50 = ResNetConfig()
SMALL = ResNetConfig(blocks=(1, 1, 1, 1), width=32, expansion=1, strides=(2, 2, 2, 1), is_pooled=False)


class ResNet(nn.Module):
    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        size, stride = (7, 2) if config.is_pooled else (3, 1)
        self.stem = _convolution(3, config.width, size, stride)
        self.pool = nn.MaxPool2d(3, 2, 1) if config.is_pooled else nn.Identity()
        before = config.width
        stages = []
        for stage, (count, stride) in enumerate(zip(config.blocks, config.strides, strict=True)):
            inside, channels = config.width * 2**stage, config.channels[stage]
            blocks = [Block(before if not place else channels, inside, channels, 1 if place else stride)
                      for place in range(count)]  # fmt: skip
            stages.append(nn.Sequential(*blocks))
            before = channels
        self.stages = nn.ModuleList(stages)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """pixels [B, 3, Y, X] to what each stage gives, [B, C, Y', X'], C2 first."""
        x, found = self.pool(F.relu(self.stem(pixels))), []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class Block(nn.Module):
    """Two convolutions, or three around a bottleneck when it gives more channels than it has inside."""

    def __init__(self, before: int, inside: int, channels: int, stride: int) -> None:
        super().__init__()
        if channels == inside:
            sizes = [(before, inside, 3, stride), (inside, channels, 3, 1)]
        else:
            sizes = [(before, inside, 1, 1), (inside, inside, 3, stride), (inside, channels, 1, 1)]
        self.convolutions = nn.ModuleList(_convolution(*size) for size in sizes)
        nn.init.zeros_(self.convolutions[-1][1].weight)  # type: ignore[index, arg-type]
        is_same = before == channels and stride == 1
        self.shortcut = nn.Identity() if is_same else _convolution(before, channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        found = x
        for place, convolution in enumerate(self.convolutions):
            found = convolution(F.relu(found) if place else found)
        return F.relu(found + self.shortcut(x))


def _convolution(before: int, channels: int, size: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, channels, size, stride, size // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(channels))


def grid_of(features: Tensor, size: int) -> Tensor:
    """[B, C, Y, X] to the means of size x size places, [B, size * size, C], row by row. Raises ValueError for rows or
    columns that do not divide evenly, which an exported graph could not pool."""
    rows, columns = features.shape[-2:]
    if max(rows, columns) < size:
        features = F.interpolate(features, size=(size, size), mode="nearest")
    elif rows % size or columns % size:
        raise ValueError(f"{rows} x {columns} does not make {size} x {size} places")
    else:
        features = F.avg_pool2d(features, (rows // size, columns // size))
    return features.flatten(2).transpose(1, 2)
