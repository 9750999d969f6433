"""Its size is that of the paper's, and with ImageNet's weights it knows what is on a photo."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from workers.data import imagenet
from workers.data.corpus import DataMissing
from workers.training.loop import parameters_of
from workers.zoo.mobilenet import MobileNet, MobileNetConfig, load_imagenet


def test_it_has_as_many_weights_as_the_published_one() -> None:
    """3,504,872 with the 1000 classes of ImageNet."""
    assert parameters_of(MobileNet()) + 1280 * 1000 + 1000 == 3_504_872


def test_stages_halve_the_picture_and_have_the_channels_of_the_configuration() -> None:
    with torch.device("meta"):
        stages = MobileNet()(torch.empty(2, 3, 64, 96))
    sizes = [(2, channels, 64 // stride, 96 // stride)
             for channels, stride in zip(MobileNetConfig().channels, (8, 16, 32), strict=True)]  # fmt: skip
    assert [stage.shape for stage in stages] == sizes


def test_weights_of_something_else_are_refused() -> None:
    with pytest.raises(RuntimeError, match="Missing key"):
        load_imagenet(MobileNet(), {})


@pytest.mark.parametrize(("photo", "name"), [("chelsea.png", "Egyptian cat"), ("coffee.png", "espresso")])
def test_the_imagenet_weights_know_a_photo(photo: str, name: str) -> None:
    found = find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        pytest.skip("scikit-image, which has the photos, is not installed")
    try:
        weights, names = imagenet.weights(), imagenet.class_names()
    except DataMissing as missing:
        pytest.skip(str(missing))
    network = MobileNet().eval()
    classes = load_imagenet(network, torch.load(weights, weights_only=True))
    picture = Image.open(Path(found.submodule_search_locations[0]) / "data" / photo).convert("RGB").resize((224, 224))
    pixels = (torch.from_numpy(np.asarray(picture) / 255.0).float() - torch.tensor(imagenet.MEAN)) / torch.tensor(
        imagenet.DEVIATION
    )
    with torch.no_grad():
        logits = classes(network(pixels.permute(2, 0, 1)[None])[-1].mean((2, 3)))
    assert name in names[int(logits.argmax())]
