"""Against the definition written out query by query, against full attention, against transformers."""

import math

import pytest
import torch
from torch import Tensor

from workers.zoo.full_attention import EagerAttention, FullAttention
from workers.zoo.v1_dynamic_attention import Classifier, DynamicAttention, Layout, V1Config, base, lay_out, small, spans

CONFIG = V1Config(
    100, 3, width=24, layers=2, heads=3, hidden=48, window=8, summaries=4, levels=4, global_tokens=2, dropout=0.0
)


def attention(config: V1Config = CONFIG, seed: int = 0) -> DynamicAttention:
    torch.manual_seed(seed)
    made = DynamicAttention(config).eval()
    torch.nn.init.normal_(made.mass.weight, std=0.5)
    torch.nn.init.normal_(made.range.weight, std=1.0)
    torch.nn.init.normal_(made.range.bias, std=1.0)
    torch.nn.init.normal_(made.level_bias)
    return made


def texts(rows: int, length: int, config: V1Config = CONFIG) -> tuple[Tensor, Tensor]:
    torch.manual_seed(length)
    mask = torch.ones(rows, length)
    for row in range(rows):
        mask[row, max(1, length - row * length // (rows + 1)) :] = 0
    return torch.randn(rows, length, config.width), mask


@torch.no_grad()
def by_definition(layer: DynamicAttention, x: Tensor, mask: Tensor) -> Tensor:
    """[T, C] for one text x [T, C]: every query for itself, straight from the module's description."""
    config = layer.config
    w, c, g, length = config.window, config.summaries, config.global_tokens, int(mask.sum())
    heads, width = config.heads, config.head_width
    q, k, v = (part(x).view(-1, heads, width) for part in (layer.query, layer.key, layer.value))
    mass, asked = layer.mass(x).clamp(-10, 10).exp(), layer.levels_asked(x)
    result = torch.zeros(len(x), heads, width)
    for i in range(len(x)):
        block = i // w
        for h in range(heads):
            seen = list(range(min(g, length)))
            seen += [t for t in range(g, length) if abs(t // w - block) <= 1]
            keys = [(k[t, h], v[t, h], 0.0) for t in seen]
            for level in range(1, config.levels + 1):
                ramp = float(((asked[i, h] - level) / config.ramp + 1).clamp(0, 1))
                if ramp == 0:
                    continue
                size = config.pooled(level)
                for first in (block - 2**level, block + 2 ** (level - 1) + 1):
                    for part in range(c):
                        begin = first * w + part * size
                        inside = [t for t in range(begin, begin + size) if g <= t < length]
                        if inside:
                            a = mass[inside, h][:, None]
                            bias = a.sum().log() + math.log(max(ramp, 1e-6)) + layer.level_bias[h, level - 1]
                            key, value = ((a * part[inside, h]).sum(0) / a.sum() for part in (k, v))
                            keys.append((key, value, bias))
            scores = torch.stack([q[i, h] @ key * width**-0.5 + bias for key, _, bias in keys])
            result[i, h] = scores.softmax(0) @ torch.stack([value for _, value, _ in keys])
    return result.flatten(1)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 37, 64, 130])
def test_attention_is_what_its_definition_says(length):
    layer = attention()
    x, mask = texts(3, length)

    mixed, _ = layer(x, lay_out(mask, CONFIG))

    for row in range(3):
        wanted = by_definition(layer, x[row], mask[row])
        real = int(mask[row].sum())
        torch.testing.assert_close(mixed[row, :real], wanted[:real], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("length", [1, 5, 15, 16])
def test_attention_equals_full_attention_when_the_window_covers_all(length):
    layer, (x, mask) = attention(), texts(3, length)
    for kind in (FullAttention, EagerAttention):
        full = kind(CONFIG)
        full.load_state_dict(layer.state_dict(), strict=False)

        mixed, _ = layer(x, lay_out(mask, CONFIG))
        wanted, _ = full(x, full.prepare(mask))

        torch.testing.assert_close(mixed * mask[..., None], wanted * mask[..., None], atol=1e-5, rtol=1e-5)


def test_a_summary_of_equal_tokens_counts_as_the_tokens_would():
    """Without mass and with every level wide open, far tokens that are all the same are seen exactly."""
    config = V1Config(9, 2, width=8, heads=1, window=4, summaries=2, levels=3, global_tokens=1, reach="fixed")
    layer = DynamicAttention(config)
    x = torch.randn(1, 1, 8).expand(1, 33, 8).clone()
    x[:, :3] = torch.randn(3, 8)  # seen exactly by the first two blocks
    mask = torch.ones(1, 33)
    full = FullAttention(config)
    full.load_state_dict(layer.state_dict(), strict=False)

    mixed, wanted = layer(x, lay_out(mask, config))[0], full(x, full.prepare(mask))[0]

    torch.testing.assert_close(mixed[:, :8], wanted[:, :8], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [9, 64, 131])
def test_packed_at_full_capacity_equals_masked(length):
    layer, (x, mask) = attention(), texts(2, length)
    masked, _ = layer(x, lay_out(mask, CONFIG))

    layer.tiers = (1.0,) * CONFIG.levels
    packed, _ = layer(x, lay_out(mask, CONFIG))

    torch.testing.assert_close(packed, masked, atol=2e-6, rtol=1e-5)


def test_packed_loses_nothing_when_every_block_gets_the_levels_it_asks_for():
    layer, (x, mask) = attention(), texts(1, 131)
    with torch.no_grad():
        layer.range.weight.zero_()
        layer.range.bias.fill_(0.0)  # z = 2 of 4 levels, for everybody
    masked, _ = layer(x, lay_out(mask, CONFIG))

    layer.tiers = (1.0, 1.0, 0.0, 0.0)
    packed, _ = layer(x, lay_out(mask, CONFIG))

    torch.testing.assert_close(packed, masked, atol=2e-6, rtol=1e-5)


def test_packed_gives_the_levels_to_the_blocks_that_ask_furthest():
    layer, (x, mask) = attention(), texts(1, 64)
    layer.tiers = (0.5, 0.5, 0.0, 0.0)
    packed, reach = layer(x, lay_out(mask, CONFIG))

    layer.tiers = None
    masked, _ = layer(x, lay_out(mask, CONFIG))
    furthest = reach[0].unflatten(0, (8, 8)).amax(1)  # (N, H)
    same = (packed - masked).view(8, 8, 3, -1).abs().amax((1, 3)) < 1e-6

    for head in range(3):
        asked_little = furthest[:, head] <= 0  # nothing to lose
        assert bool(same[asked_little, head].all())
    assert spans(layer.tiers or (0.5, 0.5, 0.0, 0.0), 8) == [(2, 0, 4), (0, 4, 8)]


def test_spans_cover_every_block_once():
    assert spans((1.0, 1.0), 5) == [(2, 0, 5)]
    assert spans((0.9, 0.5, 0.1), 7) == [(3, 0, 1), (2, 1, 4), (1, 4, 7), (0, 7, 7)]
    assert spans((0.5, 0.5), 1) == [(2, 0, 1), (0, 1, 1)]
    assert spans((0.0, 0.0), 3) == [(0, 0, 3)]


def test_capacities_that_cannot_be_are_refused():
    model = Classifier(CONFIG)
    for tiers in ((1.0,), (0.5, 1.0, 1.0, 1.0), (2.0, 1.0, 1.0, 1.0)):
        with pytest.raises(ValueError, match="4 shares from 1 to 0"):
            model.pack(tiers)


def test_the_range_is_learned_by_gradient():
    """Checked by differences: on the ramp the loss depends smoothly on what each query asks for."""
    layer, (x, mask) = attention().double(), texts(1, 40)
    x, layout = x.double(), lay_out(mask, CONFIG)
    layout = Layout(*(part.double() if torch.is_tensor(part) and part.is_floating_point() else part for part in layout))

    def loss(bias: Tensor) -> Tensor:
        mixed = torch.func.functional_call(layer, {"range.bias": bias}, (x, layout))[0]
        return mixed.square().sum()

    bias = layer.range.bias.detach().clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(bias), bias)
    step = 1e-6
    for head in range(3):
        moved = torch.zeros(3, dtype=torch.double)
        moved[head] = step
        wanted = (loss(bias + moved) - loss(bias - moved)) / (2 * step)
        assert float(found[head]) == pytest.approx(float(wanted), rel=1e-4, abs=1e-7)
    assert float(found.abs().min()) > 0


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    model = Classifier(CONFIG)
    logits, reach = model(torch.randint(1, 100, (2, 70)), torch.ones(2, 70))
    (logits.square().sum() + reach.mean()).backward()

    assert [name for name, value in model.named_parameters() if value.grad is None] == []
    assert logits.shape == (2, 3)
    assert reach.shape == (2, 2, 3, 70)


def test_padding_changes_nothing():
    torch.manual_seed(0)
    model = Classifier(CONFIG).eval()
    ids = torch.randint(1, 100, (1, 45))
    alone, _ = model(ids, torch.ones(1, 45))
    padded, _ = model(torch.nn.functional.pad(ids, (0, 30)), torch.nn.functional.pad(torch.ones(1, 45), (0, 30)))

    torch.testing.assert_close(alone, padded, atol=1e-6, rtol=1e-5)


def test_checkpointing_changes_nothing_but_memory():
    torch.manual_seed(0)
    model = Classifier(CONFIG)
    ids, gradients = torch.randint(1, 100, (2, 70)), []
    for again in (False, True):
        model.encoder.checkpointing = again
        model.zero_grad()
        model(ids, torch.ones(2, 70))[0].sum().backward()
        gradients.append(model.encoder.layers[0].attention.query.weight.grad.clone())

    torch.testing.assert_close(*gradients)


def test_group_of_heads_changes_nothing():
    x, mask = texts(2, 50)
    results = []
    for group in (1, 2, 3):
        config = V1Config(100, 3, width=24, heads=3, window=8, summaries=4, levels=4, global_tokens=2, head_group=group)
        results.append(attention(config)(x, lay_out(mask, config))[0])

    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(results[0], results[2])


def test_base_has_120_million_parameters():
    with torch.device("meta"):
        count = sum(value.numel() for value in Classifier(base()).parameters())

    assert round(count / 1e6) in range(118, 125)
    assert base().longest >= 16384


def test_small_is_small():
    count = sum(value.numel() for value in Classifier(small(1000, 2)).encoder.layers.parameters())

    assert count < 450_000


def test_a_configuration_that_cannot_work_is_refused():
    with pytest.raises(ValueError, match="power of two"):
        V1Config(10, 2, window=12)
    with pytest.raises(ValueError, match="multiple of heads"):
        V1Config(10, 2, width=10, heads=3)
