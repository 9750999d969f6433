"""Frozen bases of V5 with the weights of installed packages: MiniLM L6 for texts, MobileNetV2 for pictures."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from workers.zoo.bert_weights import load_bert
from workers.zoo.mobilenet import MobileNet, load_imagenet
from workers.zoo.v5_towers import Photos, Texts, TextsConfig

from . import imagenet, minilm


def texts(rank: int = 0) -> Texts:
    """With adapters that are nothing yet. Raises DataMissing."""
    found = Texts(TextsConfig(), rank)
    load_bert(found.encoder, load_file(minilm.file("model.safetensors")), range(minilm.LAYERS))
    return found.eval()


def photos(rank: int = 0, size: int = 224) -> Photos:
    """The same for pictures of size x size. Raises DataMissing."""
    network = MobileNet()
    load_imagenet(network, torch.load(imagenet.weights(), weights_only=True))
    return Photos(network, rank, size).eval()
