"""Frozen bases of V5 are the networks that they are made of, and adapters begin as nothing."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.workers import toy_lessons
from workers.zoo.full_attention import FullAttention
from workers.zoo.mobilenet import MobileNet
from workers.zoo.v1_dynamic_attention import Encoder
from workers.zoo.v5_meta_lora import Adapted
from workers.zoo.v5_towers import Photos, Texts

IDS = torch.tensor([[1, 5, 7, 9, 4, 6], [1, 8, 5, 0, 0, 0], [1, 0, 0, 0, 0, 0]])


@pytest.fixture(scope="module")
def network() -> MobileNet:
    """Its norms have seen something."""
    torch.manual_seed(0)
    made = MobileNet()
    for part in made.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.1)
    return made.eval()


@torch.no_grad()
def test_texts_are_the_mean_of_the_encoders_tokens() -> None:
    base = toy_lessons.base(0)
    other = Encoder(toy_lessons.CONFIG.encoder, FullAttention).eval()
    other.load_state_dict(base.encoder.state_dict())
    mask = (IDS > 0).float()
    hidden, _reach = other(IDS, mask)
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    torch.testing.assert_close(base(IDS), F.normalize(mean, dim=-1) * math.sqrt(base.features))


@torch.no_grad()
def test_photos_are_mobilenet_with_its_norms_folded(network: MobileNet) -> None:
    pixels = torch.randn(2, 3, 32, 32)
    wanted = network(pixels)[-1].mean((-2, -1))
    base = Photos(network, 0, 32).eval()
    torch.testing.assert_close(base(pixels), F.normalize(wanted, dim=-1) * math.sqrt(1280), atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_adapters_begin_as_nothing_and_only_they_learn(network: MobileNet) -> None:
    pixels = torch.randn(2, 3, 32, 32)
    photos, texts = Photos(network, 2, 32).eval(), Texts(toy_lessons.CONFIG, 2).eval()
    for base, x in ((photos, pixels), (texts, IDS)):
        strong = torch.randn(base.ranks)
        torch.testing.assert_close(base(x, strong), base(x))
        learns = [name for name, one in base.named_parameters() if one.requires_grad]
        assert learns and all(name.endswith(("down.weight", "up.weight")) for name in learns)
        for layer in base.layers:
            assert isinstance(layer, Adapted) and layer.up is not None
            nn.init.normal_(layer.up.weight)
        assert not torch.allclose(base(x, strong), base(x))


@torch.no_grad()
def test_each_row_has_strengths_of_its_own(network: MobileNet) -> None:
    texts = toy_lessons.base()
    photos = Photos(network, 2, 32).eval()
    for layer in photos.layers:
        assert isinstance(layer, Adapted) and layer.up is not None
        nn.init.normal_(layer.up.weight, std=0.1)
    for base, x in ((texts, IDS), (photos, torch.randn(3, 3, 32, 32))):
        strengths = torch.randn(3, base.ranks)
        together = base(x, strengths)
        for row in range(3):
            alone = base(x[row : row + 1], strengths[row])
            torch.testing.assert_close(together[row : row + 1], alone, atol=1e-3, rtol=1e-3)
