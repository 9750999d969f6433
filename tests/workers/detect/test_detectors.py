"""Every detector behind one interface: parts say what the whole says, a state is made again, faults are found."""

import numpy as np
import pytest
import torch

from workers.detect.base import CannotFit, components
from workers.detect.fitted import SIMPLE
from workers.detect.isolation_forest import _usual_depth, anomaly, grown
from workers.detect.matrix_profile import MatrixProfile, normalised
from workers.detect.period import period_of
from workers.detect.scale import scale_of
from workers.detect.spectral_residual import SpectralResidual, saliency
from workers.detect.v4 import V4, Sizes
from workers.export import dc_cpc
from workers.zoo.v4_dc_cpc import DCCPC, V4Config

from .histories import PERIOD, broken, plant

NAMES = [*SIMPLE, "v4"]


def graph_of(model):
    """The original in the place of its graph."""
    stepping = dc_cpc.Stepping(model).eval()

    def run(readings, seen, state):
        with torch.no_grad():
            return [one.numpy() for one in stepping(*(torch.from_numpy(part) for part in (readings, seen, state)))]

    return run


def untrained(sensors):
    torch.manual_seed(0)
    model = DCCPC(V4Config(sensors, width=16, heads=2, hidden=32, window=8, space=8)).eval()
    about = dc_cpc.values(model, 10.0)
    heads = {"weight": model.predict.weight.detach().numpy(), "bias": model.predict.bias.detach().numpy()}
    return heads, Sizes(*(about[name] for name in Sizes._fields)), graph_of(model)


def fitted(name, values, is_normal=None):
    normal = np.ones(len(values), bool) if is_normal is None else is_normal
    scaled = scale_of(values).apply(values)
    if name == "v4":
        return V4.fit(scaled, normal, 0, *untrained(values.shape[1])), scaled
    return SIMPLE[name].fit(scaled, normal, 0), scaled


def in_parts(detector, rows, sizes, first=0):
    state, scores, shares, expected, at = detector.begin(), [], [], [], 0
    for size in sizes:
        found, state = detector.score(rows[at : at + size], state, first + at)
        scores.append(found.scores), shares.append(found.shares)
        expected.append(found.expected if found.expected is not None else found.shares)
        at += size
    return [np.concatenate(part) for part in (scores, shares, expected)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [[1] * 300, [37, 1, 2, 160, 100]], ids=["one by one", "unequal"])
def test_parts_equal_the_whole(name, sizes):
    detector, scaled = fitted(name, plant())
    whole = in_parts(detector, scaled[:300], [300])

    for one, other in zip(whole, in_parts(detector, scaled[:300], sizes), strict=True):
        assert np.allclose(one, other, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_state_is_made_again_from_the_context(name):
    detector, scaled = fitted(name, plant(holes=False))
    whole = in_parts(detector, scaled, [len(scaled)])[0]
    begin = len(scaled) - detector.context - 31
    again, _ = detector.score(scaled[begin:], detector.begin(), begin)

    # Rarity counts what it has seen since the history as well: half of what is known here.
    assert np.allclose(whole[-30:], again.scores[-30:], atol=0.6 if name == "rarity" else 1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_state_has_one_size(name):
    detector, scaled = fitted(name, plant())
    state = detector.begin()
    sizes = set()
    for at in range(0, 90, 3):
        _, state = detector.score(scaled[at : at + 3], state, at)
        sizes.add((len(state), state.dtype.name))

    assert sizes == {(len(detector.begin()), "float32")}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_same_from_its_arrays(name):
    detector, scaled = fitted(name, plant())
    again = V4.of(detector.arrays(), *untrained(3)[1:]) if name == "v4" else SIMPLE[name].of(detector.arrays())

    one, other = (in_parts(each, scaled[:200], [200])[0] for each in (detector, again))
    assert np.allclose(one, other, equal_nan=True)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "spectral_residual"])
def test_a_fault_is_stranger_than_what_is_normal(name):
    values = plant()
    detector, _ = fitted(name, values[:800])
    scale = scale_of(values[:800])
    scores = in_parts(detector, scale.apply(broken(values, 1000)), [1200])[0]
    normal = scores[850:990]

    assert np.nanmax(scores[1000:1014]) > np.nanpercentile(normal, 98)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "spectral_residual"])
def test_the_sensor_that_is_off_has_the_largest_share(name):
    values = plant(holes=False)
    detector, _ = fitted(name, values[:800])
    scores, shares, _ = in_parts(detector, scale_of(values[:800]).apply(broken(values, 1000, sensor=1, by=15)), [1200])
    at = 1000 + int(np.nanargmax(scores[1000:1012]))

    assert shares[at].argmax() == 1 and shares.min() >= 0


@pytest.mark.parametrize("name", NAMES)
def test_a_step_without_a_reading_has_no_score(name):
    values = plant()
    values[500] = np.nan
    detector, scaled = fitted(name, values)
    scores = in_parts(detector, scaled, [1200])[0]

    assert np.isnan(scores[500])
    assert np.isfinite(scores[600:620]).all()


@pytest.mark.parametrize("name", NAMES)
def test_what_was_not_normal_is_not_learned(name):
    """With the bad half left out, the bad half is strange."""
    values = plant(holes=False)
    values[500:600] += 40
    is_normal = np.ones(1200, bool)
    is_normal[500:600] = False
    scale = scale_of(np.where(is_normal[:, None], values, np.nan))
    scaled = scale.apply(values)
    detector = V4.fit(scaled, is_normal, 0, *untrained(3)) if name == "v4" else SIMPLE[name].fit(scaled, is_normal, 0)
    scores = in_parts(detector, scaled, [1200])[0]

    # Two detectors see shapes, not levels: for them the jump is strange.
    assert np.nanmax(scores[500:600]) > np.nanpercentile(scores[700:], 99)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "spectral_residual"])
def test_a_history_that_is_too_short_is_refused(name):
    with pytest.raises(CannotFit):
        fitted(name, plant(15, holes=False))


def test_pca_wants_two_sensors():
    with pytest.raises(CannotFit, match="One sensor"):
        fitted("pca", plant(sensors=1))


@pytest.mark.parametrize("name", ["v4", "seasonal", "subsequence_pca"])
def test_what_is_expected_is_near(name):
    values = plant(holes=False)
    detector, scaled = fitted(name, values)
    expected = in_parts(detector, scaled, [1200])[2]

    error = np.abs(expected[200:] - scaled[200:]).mean()
    assert error < 0.5 * np.abs(scaled[200:] - scaled[199:-1]).mean() or error < 0.3


def test_components_are_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rows = np.random.default_rng(0).normal(size=(200, 6)) @ np.random.default_rng(1).normal(size=(6, 6))
    ours, variances = components(rows - rows.mean(0), 0.9, 6)
    theirs = decomposition.PCA(len(ours)).fit(rows)

    assert np.allclose(np.abs(ours), np.abs(theirs.components_), atol=1e-8)
    assert np.allclose(variances[: len(ours)], theirs.explained_variance_)


def test_trees_of_scikit_learn_say_the_same_here():
    """Scoring is compared on trees that somebody else has grown."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    rows = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    theirs = ensemble.IsolationForest(n_estimators=20, max_samples=64, random_state=0).fit(rows)
    trees = [one.tree_ for one in theirs.estimators_]
    most = max(tree.node_count for tree in trees)
    ours = {"feature": np.full((20, most), -1), "cut": np.zeros((20, most)), "below": np.zeros((20, most, 2), int),
            "depth": np.zeros((20, most)), "usual": np.array(_usual_depth(64))}  # fmt: skip
    for place, tree in enumerate(trees):
        count = tree.node_count
        ours["feature"][place, :count] = np.maximum(tree.feature, -1)
        ours["cut"][place, :count] = tree.threshold
        ours["below"][place, :count] = np.stack([tree.children_left, tree.children_right], 1)
        depth = np.zeros(count)
        for node in range(count):
            for child in (tree.children_left[node], tree.children_right[node]):
                if child > 0:
                    depth[child] = depth[node] + 1
        ours["depth"][place, :count] = depth + [_usual_depth(int(samples)) for samples in tree.n_node_samples]

    assert np.allclose(anomaly(ours, rows.astype(np.float64)), -theirs.score_samples(rows), atol=1e-6)


def test_grown_trees_rank_as_those_of_scikit_learn():
    ensemble = pytest.importorskip("sklearn.ensemble")
    rows = np.random.default_rng(0).normal(size=(1000, 3))
    asked = np.vstack([rows[:200], [[6.0, 6, 6], [-5, 5, 0]]])
    ours, theirs = (
        anomaly(grown(rows, 0), asked),
        -ensemble.IsolationForest(random_state=0).fit(rows).score_samples(asked),
    )

    assert np.corrcoef(ours, theirs)[0, 1] > 0.95
    assert set(np.argsort(ours)[-2:]) == {200, 201}


def test_trees_grow_on_numbers_that_differ_by_rounding():
    rows = np.repeat([[1.0], [np.nextafter(1.0, 2)], [np.nextafter(1.0, 0)]], 40, 0)

    assert np.isfinite(anomaly(grown(rows, 0), rows)).all()


def test_the_matrix_profile_is_the_distance_to_the_nearest_stretch():
    values = plant(400, sensors=1, holes=False)
    detector, scaled = fitted("matrix_profile", values)
    assert isinstance(detector, MatrixProfile)
    new = scaled[:90] + np.random.default_rng(1).normal(0, 0.3, (90, 1))
    scores = in_parts(detector, new, [90])[0]
    rounded, width = new[:, 0].astype(np.float32).astype(np.float64), detector.window
    for at in (width - 1, 50, 89):
        stretch = normalised(rounded[None, at - width + 1 : at + 1])[0]
        every = [normalised(scaled[None, begin : begin + width, 0])[0] for begin in range(400 - width + 1)]
        assert scores[at] == pytest.approx(min(np.linalg.norm(stretch - one) for one in every), abs=1e-3)


def test_a_spike_stands_out_of_its_spectrum():
    values = np.random.default_rng(0).normal(0, 0.1, (400, 1))
    values[300] += 3
    scores = in_parts(SpectralResidual(1), values, [400])[0]

    assert np.isnan(scores[:60]).all()
    assert np.nanargmax(scores) == 300
    assert saliency(np.zeros((2, 123))).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("values", "period"), [
    (np.sin(2 * np.pi * np.arange(500) / 50), 50),
    (np.tile([0.0] * 20 + [1.0] * 4, 20), 24),
    (np.random.default_rng(0).normal(size=500), 0),
    (np.cumsum(np.random.default_rng(2).normal(size=500)), 0),
    (np.arange(300.0), 0), (np.zeros(300), 0), (np.full(300, np.nan), 0),
])  # fmt: skip
def test_periods_are_found(values, period):
    assert abs(period_of(values) - period) <= 1


def test_a_period_is_found_in_what_is_missing_in_parts():
    assert abs(period_of(plant()) - PERIOD) <= 1


def test_scales_are_undone():
    values = plant()
    values[:, 1] = 7.0  # does not move
    scale = scale_of(values)

    assert np.allclose(scale.undo(scale.apply(values)), values, equal_nan=True)
    assert np.nanmax(np.abs(scale.apply(values))) < 3
    assert np.abs(scale.apply(values)[:, 1]).max() == 0


def test_rarity_is_the_share_of_earlier_steps_that_had_as_much() -> None:
    source = np.random.default_rng(0)
    values = source.normal(size=(4000, 1))
    detector, _ = fitted("rarity", values[:1000])
    rows = scale_of(values[:1000]).apply(values[1000:])
    scores = in_parts(detector, rows, [3000])[0]
    extreme = rows.copy()
    extreme[2000:] += 100
    _, state = detector.score(rows[:2000], detector.begin(), 0)
    first, _ = detector.score(extreme[2000:2001], state, 2000)

    # The first of 3,000 steps by each of three measures, but for others in the same bin.
    assert first.scores[0] == pytest.approx(3 * np.log10(3001), abs=1)
    # Of -log10 of a share that is spread evenly the mean is 0.43; there are two measures, and seldom a third.
    assert 0.6 < scores.mean() < 1.2


def test_rarity_goes_on_learning_what_is_usual() -> None:
    values = np.random.default_rng(1).normal(size=(3000, 1))
    detector, _ = fitted("rarity", values[:1000])
    moved = scale_of(values[:1000]).apply(values)
    moved[1000:] += 2.5
    scores = in_parts(detector, moved, [3000])[0]

    assert scores[1000:1050].mean() > 3 * scores[2900:].mean()
