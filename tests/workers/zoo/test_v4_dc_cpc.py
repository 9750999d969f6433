"""A series in parts says what it says whole; the loss is what the papers say; what is missing has no say."""

import math

import pytest
import torch
from torch.nn import functional as F

from workers.zoo.v4_dc_cpc import DCCPC, Objective, ObjectiveConfig, V4Config, pack, unpack

CONFIGS = [
    V4Config(1, width=16, heads=2, hidden=32, window=6, space=8),
    V4Config(3, strides=(2, 2), kernels=(4, 3), width=16, heads=4, hidden=32, window=5, layers=3, space=8),
    V4Config(2, strides=(1,), kernels=(3,), width=16, heads=2, hidden=32, window=4, space=8),
]
IDS = ["univariate", "multivariate", "stride 1"]


def model_of(config):
    torch.manual_seed(0)
    model = DCCPC(config).eval()
    for parameter in model.parameters():  # also those that begin as zeros
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def series(config, tokens=40, batch=2):
    torch.manual_seed(1)
    readings = torch.randn(batch, tokens * config.stride, config.sensors)
    return readings, (torch.rand_like(readings) > 0.2).float()


def in_parts(model, readings, seen, parts, flat=False):
    state, found, at = model.begin(len(readings)), [], 0
    for part in parts:
        end = at + part * model.config.stride
        known, state = model(readings[:, at:end], seen[:, at:end], state)
        state = unpack(pack(state), model.config) if flat else state
        found.append(known)
        at = end
    return [torch.cat(one, 1) for one in zip(*found, strict=True)]


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
@pytest.mark.parametrize("parts", [[1] * 40, [7, 1, 12, 20]], ids=["one by one", "unequal"])
@torch.no_grad()
def test_parts_equal_the_whole(config, parts):
    model, (readings, seen) = model_of(config), series(config)
    whole, _ = model(readings, seen)

    for name, one, other in zip(whole._fields, whole, in_parts(model, readings, seen, parts, flat=True), strict=True):
        assert torch.allclose(one, other, atol=1e-5), name


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
@torch.no_grad()
def test_the_state_has_one_size(config):
    model, (readings, seen) = model_of(config), series(config)
    sizes = set()
    state = model.begin(2)
    for at in range(0, readings.shape[1], config.stride):
        _, state = model(readings[:, at : at + config.stride], seen[:, at : at + config.stride], state)
        sizes.add(pack(state).shape)

    assert sizes == {pack(model.begin(2)).shape}


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
@torch.no_grad()
def test_a_lost_state_is_made_again_from_its_reach(config):
    model, (readings, seen) = model_of(config), series(config)
    whole, _ = model(readings, seen)
    last = config.reach * config.stride
    again, _ = model(readings[:, -last:], seen[:, -last:])

    assert config.reach < 40
    assert torch.allclose(whole.contexts[:, -1], again.contexts[:, -1], atol=1e-5)


@torch.no_grad()
def test_nothing_is_known_of_what_comes():
    model, (readings, seen) = model_of(CONFIGS[1]), series(CONFIGS[1])
    whole, _ = model(readings, seen)
    changed = readings.clone()
    changed[:, 80:] += 5
    other, _ = model(changed, seen)

    assert torch.equal(whole.contexts[:, :20], other.contexts[:, :20])
    assert not torch.allclose(whole.contexts[:, 20], other.contexts[:, 20])


@torch.no_grad()
def test_a_missing_reading_may_say_anything():
    model, (readings, seen) = model_of(CONFIGS[1]), series(CONFIGS[1])
    whole, _ = model(readings, seen)
    other, _ = model(torch.where(seen > 0, readings, 1e6), seen)

    assert torch.equal(whole.contexts, other.contexts)


def objective_of(**changes):
    config = CONFIGS[0]
    return Objective(model_of(config), ObjectiveConfig(**{"prior": 0.0, "negatives": 1, **changes}))


def test_infonce_is_cross_entropy_over_the_negatives():
    """Without prior and period: torch's cross entropy of the positive among the candidates, one by one."""
    objective = objective_of()
    readings, seen = series(CONFIGS[0], tokens=16, batch=1)  # alone in its batch: no negatives of others
    known, _ = objective.model(readings, torch.ones_like(seen))
    nce, _ = objective._nce(known, torch.ones(1, 16, dtype=torch.bool), torch.zeros(1, dtype=torch.long))

    for at, k in [(0, 1), (3, 2), (5, 10)]:
        target = at + k
        others = [place for place in range(16) if abs(place - target) > 1]
        logits = 10 * known.tokens[0, [target, *others]] @ known.predicted[0, at, k - 1]
        wanted = F.cross_entropy(logits[None], torch.tensor([0]))
        assert nce[0, at, k - 1].item() == pytest.approx(wanted.item(), abs=1e-4)


def test_debiasing_takes_the_likely_positives_out():
    plain, debiased = objective_of(), objective_of(prior=0.1)
    mean, positive, scale = torch.tensor(1.0), torch.tensor(2.0), torch.tensor(10.0)

    assert plain._debiased(mean, positive, scale).item() == pytest.approx(1.0)
    wanted = (math.e - 0.1 * math.e**2) / 0.9
    assert debiased._debiased(mean, positive, scale).exp().item() == pytest.approx(wanted, rel=1e-5)
    low = debiased._debiased(mean, torch.tensor(9.0), scale)  # never below what a cosine of -1 would give
    assert low.item() == pytest.approx(-10.0)


def test_what_is_a_period_away_is_no_negative():
    objective = objective_of()
    present = torch.ones(2, 30, dtype=torch.bool)
    negatives = objective._own_negatives(20, present, torch.tensor([6, 0]))
    target = 4 + 3  # of the context at 4, horizon 3

    alike = {place for place in range(30) if min((place - target) % 6, (target - place) % 6) <= 1}
    assert set(negatives[0, 4, 2].nonzero().flatten().tolist()) == set(range(30)) - alike
    assert set(negatives[1, 4, 2].nonzero().flatten().tolist()) == set(range(30)) - {6, 7, 8}
    everywhere = objective_of(excludes_period=False)._own_negatives(20, present, torch.tensor([6, 0]))
    assert torch.equal(everywhere[0], everywhere[1])


def test_missing_tokens_are_neither_positive_nor_negative():
    objective = objective_of()
    present = torch.ones(1, 20, dtype=torch.bool)
    present[0, 12] = False

    assert not objective._own_negatives(10, present, torch.zeros(1, dtype=torch.long))[..., 12].any()
    counted = objective._counted(present, 10)
    assert [(int(t), int(k) + 1) for _, t, k in (counted == 0).nonzero()] == [(t, 12 - t) for t in range(2, 10)]


@pytest.mark.parametrize(("weights", "wanted"), [
    ("first", [1.0] + [0.0] * 9), ("last", [0.0] * 9 + [1.0]), ("uniform", [0.1] * 10), ("dynamic", [0.1] * 10),
])  # fmt: skip
def test_horizons_count_as_asked(weights, wanted):
    objective = Objective(DCCPC(CONFIGS[0]), ObjectiveConfig(weights=weights))
    readings, seen = series(CONFIGS[0])
    _, found = objective(readings, torch.ones_like(seen), torch.zeros(2, dtype=torch.long))

    assert found["weights"].tolist() == pytest.approx(wanted)


def test_the_running_mean_is_remembered_in_training_only():
    objective = Objective(DCCPC(CONFIGS[0]), ObjectiveConfig(memory=0.5))
    readings, seen = series(CONFIGS[0])
    period = torch.zeros(2, dtype=torch.long)
    first = objective.train()(readings, seen, period)[1]["nce"]
    assert torch.allclose(objective.mean, 0.5 * first)
    assert torch.allclose(objective._baseline(torch.zeros(10)), first)  # not pulled to where it began

    before = objective.mean.clone()
    objective.eval()(readings, seen, period)
    assert torch.equal(objective.mean, before)


def test_what_can_be_predicted_is_learned():
    """Sines of many periods: the token ahead is told from its negatives."""
    torch.manual_seed(0)
    config = V4Config(1, width=16, heads=2, hidden=32, window=16, space=16)
    objective = Objective(DCCPC(config), ObjectiveConfig())
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    losses = []
    for _ in range(90):
        length = torch.rand(16, 1, 1) * 20 + 8
        readings = torch.sin((torch.arange(64)[:, None] / length + torch.rand(16, 1, 1)) * 2 * math.pi)
        loss, found = objective(readings, torch.ones_like(readings), (length.flatten() / 2).round().long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(found["nce"][0].item())

    assert sum(losses[-10:]) / 10 < 0.75 * sum(losses[:10]) / 10


@pytest.mark.parametrize("wrong", [
    {"width": 30}, {"strides": (2, 2)}, {"kernels": (1,)}, {"strides": (), "kernels": ()},
])  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match="must be|multiple"):
        V4Config(1, **wrong)


def test_a_sequence_too_short_for_its_horizons_is_refused():
    objective = objective_of()
    with pytest.raises(ValueError, match="more than 10 tokens"):
        objective(torch.zeros(1, 20, 1), torch.ones(1, 20, 1), torch.zeros(1, dtype=torch.long))
