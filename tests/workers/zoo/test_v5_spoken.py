"""Cepstra of spoken clips: against scipy's cosine transform where it is there, and by hand."""

import numpy as np
import pytest
import torch

from workers.zoo.v5_spoken import BANDS, FRAMES, Spoken, cosines

pytestmark = pytest.mark.unit


def clips(count: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, FRAMES, BANDS, generator=torch.Generator().manual_seed(seed)).cumsum(1)


def test_cosines_are_those_of_the_orthogonal_transform() -> None:
    scipy_fft = pytest.importorskip("scipy.fft")
    rows = clips()[0].double().numpy()
    wanted = scipy_fft.dct(rows, axis=1, norm="ortho")[:, :13]
    np.testing.assert_allclose(rows @ cosines(BANDS, 13).double().numpy(), wanted, atol=1e-4)
    np.testing.assert_allclose(cosines(BANDS, BANDS).T @ cosines(BANDS, BANDS), np.eye(BANDS), atol=1e-5)


@torch.no_grad()
def test_features_are_parts_means_and_deviations() -> None:
    """numpy as the reference, one clip."""
    base, rows = Spoken(), clips()
    cepstra = rows[2].numpy() @ base.cosines.numpy()
    deviations = cepstra.std(0)
    shape = (cepstra - cepstra.mean(0)) / (deviations + 0.3)
    parts = np.stack([part.mean(0) for part in np.split(shape, 10)])
    wanted = np.concatenate([parts.ravel(), 0.8 * cepstra.mean(0)[1:], 6 * np.log(deviations + 0.3)])
    found = base(rows)
    assert found.shape == (4, base.features) and (base.features, base.shape, base.ranks) == (155, 130, 0)
    np.testing.assert_allclose(found[2], wanted, atol=1e-4)


@torch.no_grad()
def test_how_loud_a_clip_is_says_nothing() -> None:
    base, rows = Spoken(), clips()
    np.testing.assert_allclose(base(rows), base(rows + 2.5), atol=1e-4)


@torch.no_grad()
def test_what_never_changes_has_a_shape_of_zeros() -> None:
    found = Spoken()(torch.ones(1, FRAMES, BANDS))
    assert torch.isfinite(found).all() and found[0, :130].abs().max() < 1e-4
