"""Against the published size of ResNet-50, and the block's definition."""

import pytest
import torch

from workers.training.loop import parameters_of
from workers.zoo.resnet import RESNET_50, SMALL, Block, ResNet, ResNetConfig, grid_of


def test_resnet_50_has_as_many_parameters_as_published() -> None:
    """25,557,032 with the 1,000 classes of ImageNet (torchvision's documentation of resnet50)."""
    assert parameters_of(ResNet(RESNET_50)) + 2048 * 1000 + 1000 == 25_557_032


def test_stages_halve_what_they_see() -> None:
    shapes = [stage.shape for stage in ResNet(RESNET_50).eval()(torch.zeros(1, 3, 64, 64))]
    assert shapes == [(1, 256, 16, 16), (1, 512, 8, 8), (1, 1024, 4, 4), (1, 2048, 2, 2)]


def test_the_small_one_keeps_a_grid_of_eight() -> None:
    shapes = [stage.shape[2:] for stage in ResNet(SMALL).eval()(torch.zeros(1, 3, 64, 64))]
    assert shapes == [(32, 32), (16, 16), (8, 8), (8, 8)]


@pytest.mark.parametrize("channels", [8, 32])
def test_a_block_begins_as_the_identity(channels: int) -> None:
    x = torch.rand(2, channels, 5, 5)
    torch.testing.assert_close(Block(channels, 8, channels, 1).eval()(x), x)


def test_places_are_means_row_by_row() -> None:
    features = torch.arange(16.0).view(1, 1, 4, 4)
    assert grid_of(features, 2)[0, :, 0].tolist() == [2.5, 4.5, 10.5, 12.5]
    assert grid_of(features[..., :2, :2], 4)[0, :, 0].tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 4, 4, 5, 5, 4, 4, 5, 5]


def test_places_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="6 x 6 does not make 4 x 4 places"):
        grid_of(torch.zeros(1, 1, 6, 6), 4)


def test_stages_need_a_stride_each() -> None:
    with pytest.raises(ValueError, match="same stages"):
        ResNetConfig(blocks=(1, 1), strides=(1,))
