"""What the model promises: order does not matter, adapters of many tasks share a batch, a rank is what LoRA says."""

import pytest
import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional as F

from workers.zoo.v5_meta_lora import (
    Adapter,
    Classifying,
    Head,
    Numbers,
    NumbersConfig,
    Pictures,
    PicturesConfig,
    Regressing,
    V5Config,
    nearest,
    prototypes,
)

SMALL = PicturesConfig(channels=(8, 16), size=12)


def classifying() -> Classifying:
    torch.manual_seed(0)
    return Classifying(V5Config(rank=3, embedding=8), Pictures(SMALL, 3))


def regressing() -> Regressing:
    torch.manual_seed(0)
    return Regressing(V5Config(rank=4, embedding=8), Numbers(NumbersConfig(widths=(10, 12)), 4), 1)


def examples(model: Classifying | Regressing, count: int = 6) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    if isinstance(model, Classifying):
        return torch.rand(count, 1, 12, 12), torch.eye(3).repeat(count // 3, 1)
    return torch.randn(count, 1), torch.randn(count, 1)


@pytest.mark.parametrize("make", [classifying, regressing])
def test_the_order_of_the_examples_does_not_matter(make) -> None:
    model = make()
    x, y = examples(model)
    order = torch.randperm(len(x))
    torch.testing.assert_close(model.embed(x[order], y[order]), model.embed(x, y))
    torch.testing.assert_close(model(x[order], y[order]), model(x, y))


def test_the_order_of_the_classes_only_reorders_the_head() -> None:
    model = classifying()
    x, y = examples(model)
    (s, weight, bias), (other, rows, shifts) = model(x, y), model(x, y[:, [2, 0, 1]])
    torch.testing.assert_close(other, s)
    torch.testing.assert_close((rows, shifts), (weight[[2, 0, 1]], bias[[2, 0, 1]]))


@pytest.mark.parametrize("make", [classifying, regressing])
def test_tasks_that_share_a_batch_say_what_each_says_alone(make) -> None:
    model = make()
    x, _ = examples(model)
    own = torch.randn(len(x), model.base.ranks)
    together = model.base(x, own)
    alone = torch.cat([model.base(one[None], s) for one, s in zip(x, own, strict=True)])
    torch.testing.assert_close(together, alone)
    mapped = vmap(lambda one, s: model.base(one[None], s)[0])(x, own)
    torch.testing.assert_close(mapped, alone)


@pytest.mark.parametrize("make", [classifying, regressing])
def test_an_adapter_is_a_change_of_the_weights_of_its_rank(make) -> None:
    """W + B diag(s) A, put together by hand, in a network without adapters."""
    model = make()
    x, _ = examples(model)
    s = torch.randn(model.base.ranks)
    if isinstance(model, Classifying):
        plain = Pictures(SMALL, 0)
        plain.norms.load_state_dict(model.base.norms.state_dict())
    else:
        plain = Numbers(NumbersConfig(widths=(10, 12)), 0)
    for layer, own, strength in zip(plain.layers, model.base.layers, s.view(2, -1), strict=True):
        layer.layer.load_state_dict(own.layer.state_dict())
        down, up = own.down.weight.detach(), own.up.weight.detach()
        delta = (up.flatten(1) * strength) @ down.flatten(1)
        layer.layer.weight.data += delta.view(layer.layer.weight.shape)
    torch.testing.assert_close(model.base(x, s), plain(x))


def test_without_strength_nothing_is_adapted() -> None:
    model = classifying()
    x, _ = examples(model)
    torch.testing.assert_close(model.base(x, torch.zeros(model.base.ranks)), model.base(x))


def test_the_first_head_is_the_nearest_prototype() -> None:
    torch.manual_seed(0)
    features, y = torch.randn(7, 5), F.one_hot(torch.tensor([0, 0, 0, 1, 2, 2, 1]), 3).float()
    centres = prototypes(features, y)
    torch.testing.assert_close(centres[0], features[:3].mean(0))
    asked = torch.randn(4, 5)
    logits = nearest(centres, torch.tensor(0.7))(asked)
    torch.testing.assert_close(logits.softmax(-1), (-0.7 * torch.cdist(asked, centres) ** 2).softmax(-1))


def test_a_class_without_examples_is_at_nothing() -> None:
    y = torch.tensor([[1.0, 0.0]])
    assert prototypes(torch.ones(1, 2), y).tolist() == [[1, 1], [0, 0]]


@torch.no_grad()
def test_gates_and_rates_stay_where_they_belong() -> None:
    model = classifying()
    said = model.modulation(100 * torch.randn(8))
    assert {part.shape for part in said} == {(model.base.ranks,)}
    assert float(said.gate.min()) >= 0 and float(said.gate.max()) <= 1 and float(said.rate.min()) >= 0
    torch.testing.assert_close(model.modulation(torch.zeros(8)).rate, torch.full((model.base.ranks,), 0.1),
                               atol=0.1, rtol=0)  # fmt: skip


def test_an_answer_is_the_head_on_adapted_features() -> None:
    model = regressing()
    x, y = examples(model)
    s, weight, bias = model(x, y)
    torch.testing.assert_close(
        model.predict(x, Adapter(s, Head(weight, bias))), F.linear(model.base(x, s), weight, bias)
    )


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="rank"):
        V5Config(rank=-1)
    with pytest.raises(ValueError, match="rank of at least 1"):
        Classifying(V5Config(rank=0), Pictures(SMALL, 0))
    with pytest.raises(ValueError, match="multiples of 8"):
        PicturesConfig(channels=(8, 12))
