"""V3: each token goes to the experts that fit it best, all of them are computed, and loads even out."""

import pytest
import torch
from torch.nn import functional as F

from workers.zoo.v3_moe import (
    V3,
    Attention,
    Mixture,
    Router,
    V3Config,
    active_parameters,
    checkpoint_activations,
    dense_twin,
    glu,
    rotate,
)

CONFIG = V3Config(vocab_size=32, width=32, layers=2, heads=4, kv_heads=2, hidden=24, context=24)


def model_of(config=CONFIG, **more):
    torch.manual_seed(0)
    return V3(config, **more)


def ids_of(batch=2, length=12, seed=0):
    return torch.randint(CONFIG.vocab_size, (batch, length), generator=torch.Generator().manual_seed(seed))


def naive(mixture, x):
    """Token by token, expert by expert."""
    out = torch.zeros_like(x)
    for row, token in enumerate(x):
        scores = mixture.router.fit(token).sigmoid()
        picks = (scores + mixture.router.bias).topk(mixture.config.picked).indices.tolist()
        total = sum(scores[pick] for pick in picks)
        for pick in picks:
            part = glu(token[None], mixture.experts.w_in[pick], mixture.experts.w_out[pick])[0]
            out[row] += scores[pick] / total * part
        if mixture.shared is not None:
            out[row] += mixture.shared(token[None])[0]
    return out


def test_the_router_picks_what_fits_best_and_weighs_without_the_bias():
    router = Router(V3Config(vocab_size=2, width=8, heads=1, kv_heads=1, experts=4)).eval()
    torch.nn.init.zeros_(router.fit.weight)
    router.fit.weight.data[:, 0] = torch.tensor([0.0, 3.0, 1.0, 2.0])
    router.bias[0] = 1.0
    picks, weights = router(torch.eye(8)[:1])

    scores = torch.tensor([0.0, 3.0]).sigmoid()
    assert picks.tolist() == [[0, 1]]
    torch.testing.assert_close(weights[0], scores / scores.sum())
    assert router.load.sum() == 0  # only training counts


@pytest.mark.parametrize("shared", [0, 1])
@pytest.mark.parametrize("forced", [False, True])
def test_no_token_is_dropped_whatever_the_load(shared, forced):
    torch.manual_seed(0)
    mixture = model_of(V3Config(**{**fields(), "shared": shared})).layers[0].feed_forward
    if forced:  # all of them to the same two
        mixture.router.bias[:2] = 10.0
    x, other = (torch.randn(20, CONFIG.width, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    x.requires_grad_(True)
    other.requires_grad_(True)
    out, wanted = mixture(x[None])[0], naive(mixture, other)
    torch.testing.assert_close(out, wanted)
    assert mixture.router.load.sum() == 40
    if forced:
        assert mixture.router.load.tolist() == [20, 20, 0, 0, 0, 0, 0, 0]

    got = torch.autograd.grad(out.square().sum(), [x, *mixture.parameters()])
    asked = torch.autograd.grad(wanted.square().sum(), [other, *mixture.parameters()])
    for one, own in zip(got, asked, strict=True):
        torch.testing.assert_close(one, own)


def fields():
    return {name: getattr(CONFIG, name) for name in CONFIG.__slots__}


def test_biases_even_the_load_out():
    torch.manual_seed(0)
    router = Router(V3Config(**{**fields(), "balance_rate": 0.02}))
    torch.nn.init.normal_(router.fit.weight, std=0.1)
    x = torch.randn(400, CONFIG.width) + torch.randn(CONFIG.width)  # what all have in common makes favourites
    before, weight = None, router.fit.weight.clone()
    for _ in range(60):
        router(x)
        load = router.load.clone()
        before = load if before is None else before
        router.balance()

    assert load.std() / load.mean() < 0.25 * before.std() / before.mean()
    assert router.load.sum() == 0
    assert torch.equal(weight, router.fit.weight)
    assert not router.bias.requires_grad


def test_a_bias_changes_by_the_rate_towards_the_mean():
    router = Router(V3Config(vocab_size=2, width=8, heads=1, kv_heads=1, experts=4, balance_rate=0.5))
    router.load[:] = torch.tensor([4.0, 2.0, 1.0, 1.0])
    router.balance()

    assert router.bias.tolist() == [-0.5, 0.0, 0.5, 0.5]


def test_parameters_are_as_many_as_written_down():
    c, f, v, e = CONFIG.width, CONFIG.hidden, CONFIG.vocab_size, CONFIG.experts
    layer = 2 * c * c + 2 * c * c // 2 + e * c + 3 * e * c * f + 2 * c  # attention, router, experts, norms
    moe, dense = model_of(), model_of(feed_forward=dense_twin)

    assert sum(value.numel() for value in moe.parameters()) == 2 * v * c + 2 * layer + c
    assert active_parameters(moe) - active_parameters(dense) == 2 * e * c  # the routers


@pytest.mark.parametrize("more", [{}, {"feed_forward": dense_twin}])
def test_a_token_knows_nothing_of_those_after_it(more):
    model, ids = model_of(**more).eval(), ids_of()
    changed = ids.clone()
    changed[:, 7:] = (changed[:, 7:] + 1) % CONFIG.vocab_size
    one, other = model(ids), model(changed)

    torch.testing.assert_close(one[:, :7], other[:, :7])
    assert not torch.allclose(one[:, 7:], other[:, 7:])


def test_attention_depends_on_distances_alone():
    """As the relative positions of rotary embeddings promise: the same tokens later look the same."""
    torch.manual_seed(0)
    attention = Attention(CONFIG)
    q, k = torch.randn(2, 1, 1, 8).unbind()
    cos, sin = attention.cos, attention.sin

    def product(first, second):
        return (rotate(q, cos[first], sin[first]) * rotate(k, cos[second], sin[second])).sum()

    torch.testing.assert_close(product(3, 1), product(13, 11))
    assert not torch.allclose(product(3, 1), product(3, 2))


def test_computing_activations_again_changes_no_gradient_and_no_load():
    plain, again, ids = model_of(), model_of(), ids_of()
    checkpoint_activations(again)
    for model in (plain, again):
        F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()).backward()

    for (name, one), other in zip(plain.named_parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
    for one, other in zip(plain.buffers(), again.buffers(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("changes", "said"), [
    ({"width": 12}, "twice the heads 4"), ({"kv_heads": 3}, "kv_heads 3"), ({"picked": 9}, "between 1 and 8, not 9"),
])  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        V3Config(**{**fields(), **changes})


def test_a_mixture_with_one_expert_is_that_expert():
    torch.manual_seed(0)
    mixture = Mixture(V3Config(**{**fields(), "experts": 1, "picked": 1}))
    for value in mixture.parameters():
        torch.nn.init.normal_(value, std=0.1)
    x = torch.randn(1, 5, CONFIG.width)

    torch.testing.assert_close(mixture(x)[0], glu(x[0], mixture.experts.w_in[0], mixture.experts.w_out[0]))
