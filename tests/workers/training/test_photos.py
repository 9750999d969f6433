"""What stands for a photo is what ImageNet's classifier takes for one."""

import pytest
import torch

from workers.data import imagenet
from workers.data.corpus import DataMissing
from workers.training.photos import Photos


@pytest.fixture(scope="module")
def photos() -> Photos:
    try:
        return Photos()
    except DataMissing as missing:
        pytest.skip(str(missing))


def test_the_classifier_recognises_what_is_pretended(photos: Photos) -> None:
    weights = torch.load(imagenet.weights(), weights_only=True)
    torch.manual_seed(0)
    drawings, chosen = torch.rand(32, 1280).square(), list(range(0, 1000, 20))
    seen = photos.pretended(chosen, drawings)
    assert seen.shape == (50, 1280) and float(seen.min()) >= 0
    logits = seen @ weights["classifier.1.weight"].T + weights["classifier.1.bias"]
    assert float((logits.argmax(1) == torch.tensor(chosen)).float().mean()) > 0.9


def test_a_step_has_its_own_classes_each_by_one_of_its_names(photos: Photos) -> None:
    chosen, names = photos.of_step(5, 64, seed=0)
    assert (chosen, names) == photos.of_step(5, 64, seed=0) != photos.of_step(6, 64, seed=0)
    assert len(set(chosen)) == 64
    assert all(name in photos.names[place] for place, name in zip(chosen, names, strict=True))
