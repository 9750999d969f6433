"""Gradients through gradients against the same by hand, and what each learner leaves as it is."""

import pytest
import torch
from torch import Tensor
from torch.func import vmap
from torch.nn import functional as F

from workers.training.learners import (
    MAML,
    FineTuning,
    Learner,
    Network,
    Prototypes,
    RankSpace,
    descend,
    squares,
    surprise,
)
from workers.zoo.v5_meta_lora import (
    Classifying,
    Numbers,
    NumbersConfig,
    Pictures,
    PicturesConfig,
    Regressing,
    V5Config,
)

RATE, STEPS = 0.05, 3
SMALL = PicturesConfig(channels=(8, 8), size=8)


def points(tasks: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return tuple(torch.randn(tasks, 6, 1, generator=generator, dtype=torch.float64) for _ in range(4))  # type: ignore


def network() -> Network:
    torch.manual_seed(0)
    return Network(Numbers(NumbersConfig(widths=(7, 5)), 0), 1).double()


def by_hand(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network again, without its code."""
    for place in range(2):
        layer = f"base.layers.{place}.layer"
        x = (x @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]).clamp(min=0)
    return x @ weights["head.weight"].T + weights["head.bias"]


def outer(learner: MAML, x: Tensor, y: Tensor, queries: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    learner.zero_grad()
    squares(learner.predict(learner.adapt(x, y, STEPS), queries), wanted).backward()
    return {name: one.grad for name, one in learner.network.named_parameters()}  # type: ignore[misc]


def adapted_by_hand(start: dict[str, Tensor], x: Tensor, y: Tensor, is_second_order: bool) -> dict[str, Tensor]:
    weights = start
    for _ in range(STEPS):
        loss = ((by_hand(weights, x) - y) ** 2).mean()
        slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=is_second_order)
        weights = {name: one - RATE * slope for (name, one), slope in zip(weights.items(), slopes, strict=True)}
    return weights


@pytest.mark.parametrize("is_second_order", [True, False], ids=["second", "first"])
def test_the_gradient_of_maml_is_that_by_hand(is_second_order: bool) -> None:
    x, y, queries, wanted = (one[0] for one in points())
    learner = MAML(network(), squares, RATE, is_second_order=is_second_order)
    found = outer(learner, x, y, queries, wanted)
    start = {name: one.detach().clone().requires_grad_() for name, one in learner.network.named_parameters()}
    loss = ((by_hand(adapted_by_hand(start, x, y, is_second_order), queries) - wanted) ** 2).mean()
    slopes = torch.autograd.grad(loss, list(start.values()))
    torch.testing.assert_close(found, dict(zip(start, slopes, strict=True)))


def test_the_second_order_is_the_slope_of_the_whole_by_differences() -> None:
    x, y, queries, wanted = (one[0] for one in points())
    learner = MAML(network(), squares, RATE, is_second_order=True)
    found = outer(learner, x, y, queries, wanted)["head.weight"]
    weight, apart = learner.network.head.weight, 1e-5
    for column in range(weight.shape[1]):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[0, column] += sign * apart
                values.append(squares(learner.predict(learner.adapt(x, y, STEPS), queries), wanted).item())
                weight[0, column] -= sign * apart
        assert found[0, column].item() == pytest.approx((values[0] - values[1]) / (2 * apart), rel=1e-5, abs=1e-9)


def test_the_orders_differ() -> None:
    part = [one[0] for one in points()]
    first, second = (outer(MAML(network(), squares, RATE, is_second_order=which), *part) for which in (False, True))
    assert not torch.allclose(first["head.weight"], second["head.weight"], rtol=1e-3)


def test_anil_moves_the_head_alone() -> None:
    x, y, *_ = (one[0] for one in points())
    learner = MAML(network(), squares, RATE, is_second_order=True, adapts="head")
    adapted = learner.adapt(x, y, STEPS)
    assert set(adapted) == {"head.weight", "head.bias"}
    features = learner.network.base(x).detach()
    weight, bias = (one.detach().clone().requires_grad_() for one in learner.network.head.parameters())
    for _ in range(STEPS):
        slopes = torch.autograd.grad(((features @ weight.T + bias - y) ** 2).mean(), (weight, bias))
        weight, bias = ((one - RATE * slope).detach().requires_grad_() for one, slope in
                        zip((weight, bias), slopes, strict=True))  # fmt: skip
    torch.testing.assert_close(adapted, {"head.weight": weight, "head.bias": bias})


def rank_space(loss=squares, **changes: bool) -> RankSpace:
    torch.manual_seed(0)
    model = Regressing(V5Config(rank=3, embedding=6), Numbers(NumbersConfig(widths=(7, 5)), 3), 1)
    switches = {"is_second_order": True, "has_embedding": True, "is_modulated": True, **changes}
    return RankSpace(model.double(), loss, RATE, **switches)


def test_a_step_in_rank_space_is_gated_and_at_its_own_rate() -> None:
    x, y, *_ = (one[0] for one in points())
    learner = rank_space()
    model, moved = learner.model, learner.adapt(x, y, 1)
    said = model.modulation(model.embed(x, y))
    s = said.s0.detach().clone().requires_grad_()
    loss = ((model.base(x, s) @ model.last.weight.T + model.last.bias - y) ** 2).mean()
    slope, of_bias = torch.autograd.grad(loss, (s, model.last.bias))
    torch.testing.assert_close(moved.s, said.s0 - said.rate * said.gate * slope)
    torch.testing.assert_close(moved.head.bias, model.last.bias - model.head_rate.exp() * of_bias)


def test_without_steps_the_model_adapts_as_its_graph_does() -> None:
    x, y, *_ = (one[0] for one in points())
    learner = rank_space()
    s, weight, bias = learner.model(x, y)
    adapted = learner.adapt(x, y, 0)
    torch.testing.assert_close((adapted.s, *adapted.head), (s, weight, bias))


def test_without_the_embedding_tasks_begin_alike_and_without_modulation_go_at_one_rate() -> None:
    x, y, *_ = points(2)
    blind = rank_space(has_embedding=False)
    torch.testing.assert_close(blind.adapt(x[0], y[0], 0).s, blind.adapt(x[1], y[1], 0).s)
    plain = rank_space(is_modulated=False)
    model, moved = plain.model, plain.adapt(x[0], y[0], 1)
    s = model(x[0], y[0])[0].detach().clone().requires_grad_()
    loss = ((model.base(x[0], s) @ model.last.weight.T + model.last.bias - y[0]) ** 2).mean()
    torch.testing.assert_close(moved.s, s - RATE * torch.autograd.grad(loss, s)[0])


def fine_tuning() -> FineTuning:
    torch.manual_seed(0)
    return FineTuning(Numbers(NumbersConfig(widths=(7, 5)), 0), 1, squares, RATE, is_classifying=False).double()


@pytest.mark.parametrize("make", [
    rank_space, fine_tuning,
    lambda: MAML(network(), squares, RATE, is_second_order=True),
    lambda: MAML(network(), squares, RATE, is_second_order=False),
    lambda: MAML(network(), squares, RATE, is_second_order=True, adapts="head"),
], ids=["v5", "fine_tuning", "maml", "first_order", "anil"])  # fmt: skip
def test_tasks_at_once_are_tasks_one_after_the_other(make) -> None:
    """Answers, and the outer gradients."""
    learner, (x, y, queries, wanted) = make(), points(4)

    def answer(x: Tensor, y: Tensor, queries: Tensor) -> Tensor:
        return learner.predict(learner.adapt(x, y, STEPS), queries)

    def slopes(outputs: Tensor) -> list[Tensor | None]:
        return torch.autograd.grad(squares(outputs, wanted), list(learner.parameters()), allow_unused=True)

    together = vmap(answer)(x, y, queries)
    one_by_one = torch.stack([answer(*task) for task in zip(x, y, queries, strict=True)])
    torch.testing.assert_close(together, one_by_one)
    torch.testing.assert_close(slopes(together), slopes(one_by_one))


def letters() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return (torch.rand(3, 4, 1, 8, 8, generator=generator), torch.eye(2).repeat(3, 2, 1),
            torch.rand(3, 5, 1, 8, 8, generator=generator))  # fmt: skip


def of_letters(name: str) -> Learner:
    torch.manual_seed(0)
    if name == "v5":
        model = Classifying(V5Config(rank=2, embedding=6), Pictures(SMALL, 2))
        return RankSpace(model, surprise, RATE, is_second_order=True, has_embedding=True, is_modulated=True)
    base = Pictures(SMALL, 0)
    return {
        "prototypes": lambda: Prototypes(base),
        "fine_tuning": lambda: FineTuning(base, 9, surprise, RATE, is_classifying=True),
        "maml": lambda: MAML(Network(base, 2), surprise, RATE, is_second_order=True),
    }[name]()


@pytest.mark.parametrize("name", ["v5", "prototypes", "fine_tuning", "maml"])
def test_pictures_at_once_are_pictures_one_after_the_other(name: str) -> None:
    learner, (x, y, queries) = of_letters(name), letters()

    def answer(x: Tensor, y: Tensor, queries: Tensor) -> Tensor:
        return learner.predict(learner.adapt(x, y, 2), queries)

    one_by_one = torch.stack([answer(*task) for task in zip(x, y, queries, strict=True)])
    torch.testing.assert_close(vmap(answer)(x, y, queries), one_by_one, atol=1e-5, rtol=1e-4)


def test_prototypes_are_the_nearest_mean() -> None:
    learner, (x, y, queries) = of_letters("prototypes"), letters()
    found = learner.predict(learner.adapt(x[0], y[0], 0), queries[0]).argmax(-1)
    seen, asked = learner.base(x[0]), learner.base(queries[0])
    means = torch.stack([seen[y[0, :, column] > 0].mean(0) for column in range(2)])
    assert torch.equal(found, torch.cdist(asked, means).argmin(-1))


def test_descending_goes_down_and_takes_any_tree() -> None:
    start = {"a": torch.tensor(3.0), "b": [torch.tensor(-2.0)]}
    rates = {"a": torch.tensor(0.25), "b": [0.5]}
    found = descend(lambda tree: tree["a"] ** 2 + tree["b"][0] ** 2, start, rates, 2, True)
    assert (float(found["a"]), float(found["b"][0])) == (0.75, 0.0)
    torch.testing.assert_close(surprise(torch.zeros(2, 4), F.one_hot(torch.tensor([1, 3]), 4).float()).exp(),
                               torch.tensor(4.0))  # fmt: skip
