"""Families of curves, judged by what is known of each without the generator's own formulas."""

import numpy as np
import pytest

from workers.data import curves
from workers.data.curves import FAMILIES, MODES, NOISE, draw

X = np.linspace(-5, 5, 201).astype(np.float32)


def of(family: str, count: int = 50) -> np.ndarray:
    source = np.random.default_rng(0)
    return np.stack([FAMILIES[family](source)(X) for _ in range(count)])


def test_lines_have_no_second_difference() -> None:
    np.testing.assert_allclose(np.diff(of("line"), 2), 0, atol=1e-4)


def test_quadratics_have_the_same_one_everywhere() -> None:
    bend = np.diff(of("quadratic").astype(float), 2).mean(1) / (2 * 0.05**2)
    assert (abs(bend) < 0.16).all() and (abs(bend) > 0.01).all()
    assert (bend < 0).any() and (bend > 0).any()


def test_sinusoids_come_again_after_two_pi() -> None:
    source = np.random.default_rng(1)
    for _ in range(20):
        curve = FAMILIES["sinusoid"](source)
        np.testing.assert_allclose(curve(X + np.float32(2 * np.pi)), curve(X), atol=1e-4)
        assert abs(curve(X)).max() <= 5


def test_absolutes_bend_once_and_tanh_levels_off() -> None:
    is_bent = abs(np.diff(of("absolute"), 2)) > 1e-3
    assert is_bent.sum(1).max() <= 2  # both steps around one corner
    found = of("tanh")
    assert (abs(found - found[:, :1]).max(1) <= 6).all()


@pytest.mark.parametrize("modes", MODES)
def test_each_family_has_as_many_tasks(modes: int) -> None:
    found = draw(np.random.default_rng(0), modes, 30, 7)
    assert found.x.shape == found.y.shape == (30, 7, 1) and found.x.dtype == found.y.dtype == np.float32
    assert np.bincount(found.mode).tolist() == [30 // modes] * modes
    assert abs(found.x).max() <= curves.REACH


def test_what_is_seen_is_noisy() -> None:
    found = draw(np.random.default_rng(0), 2, 40, 200)
    rests = []
    for x, y in zip(found.x[found.mode == 1, :, 0], found.y[found.mode == 1, :, 0], strict=True):
        rests.append(y - np.polyval(np.polyfit(x, y, 1), x))
    assert np.std(rests) == pytest.approx(NOISE, rel=0.05)


def test_the_same_source_gives_the_same_and_unknown_modes_are_refused() -> None:
    one, other = (draw(np.random.default_rng(3), 5, 10, 4) for _ in range(2))
    assert np.array_equal(one.y, other.y)
    with pytest.raises(ValueError, match="modes is one of 2, 3, 5, not 4"):
        draw(np.random.default_rng(0), 4, 1, 1)
