"""MobileNetV2 for pictures, with the names that torchvision gives its weights.

- Sandler et al. 2018, arXiv:1801.04381: inverted residuals around a depthwise convolution.

Letters: B batch, C channels, Y and X rows and columns.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor, nn

# Of table 2: times as many channels inside, channels, blocks, stride of the first.
_GROUPS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_LAST = 1280
_DEPTHS = (6, 13, 18)
"""Layers behind which strides of 8, 16 and 32 pixels end."""


@dataclass(frozen=True, slots=True)
class MobileNetConfig:
    """There is one size."""

    @property
    def blocks(self) -> tuple[int, ...]:
        """Of the stages, as ResNetConfig has it."""
        return _DEPTHS

    @property
    def channels(self) -> tuple[int, ...]:
        """Of what each stage gives."""
        return (32, 96, _LAST)


class MobileNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, 32, 3, 2)]
        before = 32
        for times, channels, count, stride in _GROUPS:
            for place in range(count):
                layers.append(Inverted(before, channels, times, 1 if place else stride))
                before = channels
        self.features = nn.ModuleList([*layers, _convolution(before, _LAST, 1, 1)])

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """pixels [B, 3, Y, X] to what is known at strides of 8, 16 and 32, [B, C, Y', X']."""
        x, found = pixels, []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in _DEPTHS:
                found.append(x)
        return found


class Inverted(nn.Module):
    """More channels, each by itself over its neighbours, fewer channels; added to the input where it fits."""

    def __init__(self, before: int, channels: int, times: int, stride: int) -> None:
        super().__init__()
        inside = before * times
        wider = [_convolution(before, inside, 1, 1)] if times > 1 else []
        self.conv = nn.Sequential(
            *wider, _convolution(inside, inside, 3, stride, inside), nn.Conv2d(inside, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )  # fmt: skip
        self.is_same = stride == 1 and before == channels

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv(x)
        return x + found if self.is_same else found


def load_imagenet(network: MobileNet, weights: dict[str, Tensor]) -> nn.Linear:
    """Copies torchvision's weights; the layer that tells the 1000 classes of ImageNet from the mean of the last stage.
    Raises RuntimeError for weights of something else."""
    network.load_state_dict({name: value for name, value in weights.items() if not name.startswith("classifier.")})
    classes = nn.Linear(_LAST, 1000)
    classes.load_state_dict(OrderedDict((kind, weights[f"classifier.1.{kind}"]) for kind in ("weight", "bias")))
    return classes


def _convolution(before: int, channels: int, size: int, stride: int, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, channels, size, stride, size // 2, groups=groups, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU6())
