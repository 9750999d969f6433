"""A model again from the folder that training wrote: config.json and best.pt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from .full_attention import EagerAttention, FullAttention
from .mobilenet import MobileNet, MobileNetConfig
from .resnet import ResNetConfig
from .v1_dynamic_attention import Classifier, DynamicAttention, V1Config
from .v2_cmab import CMAB, V2Config
from .v3_moe import FEED_FORWARD, V3, V3Config
from .v4_dc_cpc import DCCPC, V4Config
from .v5_meta_lora import Classifying, Numbers, NumbersConfig, Pictures, PicturesConfig, Regressing, V5Config
from .v5_towers import Photos, Texts, TextsConfig

ATTENTIONS = {"dynamic": DynamicAttention, "full": FullAttention, "eager": EagerAttention}


def load_classifier(folder: Path) -> tuple[Classifier, dict[str, Any]]:
    """With its best weights, ready to be asked, and what config.json says of it."""
    config = json.loads((folder / "config.json").read_text())
    model = Classifier(V1Config(**config["model"]), ATTENTIONS[config["training"]["attention"]])
    model.load_state_dict(torch.load(folder / "best.pt", weights_only=True))
    return model.eval(), config


def load_cmab(folder: Path) -> tuple[CMAB, dict[str, Any]]:
    """The same of V2, whatever it was trained for."""
    config = json.loads((folder / "config.json").read_text())
    fields = {**config["model"]}
    picture = fields.pop("picture")
    model = CMAB(V2Config(picture=ResNetConfig(**picture) if picture else MobileNetConfig(), **fields))
    weights = torch.load(folder / "best.pt", weights_only=True)
    own = {name.removeprefix("cmab."): value for name, value in weights.items() if name.startswith("cmab.")}
    model.load_state_dict(own)
    return model.eval(), config


def load_v3(folder: Path) -> tuple[V3, dict[str, Any]]:
    """The same of V3, whichever feed-forward part it has and however many processes have trained it."""
    config = json.loads((folder / "config.json").read_text())
    model = V3(V3Config(**config["model"]), FEED_FORWARD[config["training"]["feed_forward"]])
    model.load_state_dict(torch.load(folder / "best.pt", weights_only=True))
    return model.eval(), config


def load_dc_cpc(folder: Path) -> tuple[DCCPC, dict[str, Any]]:
    """The same of V4, without what only its loss needs."""
    config = json.loads((folder / "config.json").read_text())
    model = DCCPC(V4Config(**_with_tuples(config["model"])))
    weights = torch.load(folder / "best.pt", weights_only=True)
    model.load_state_dict(
        {name.removeprefix("model."): value for name, value in weights.items() if name.startswith("model.")}
    )
    return model.eval(), config


def load_meta_lora(folder: Path) -> tuple[Classifying | Regressing, dict[str, Any]]:
    """The same of V5. Raises ValueError for one of those that it is compared with."""
    config = json.loads((folder / "config.json").read_text())
    if config["training"]["learner"] != "meta_lora" or not config["training"]["has_embedding"]:
        raise ValueError(f"{folder} has a run to compare with, which adapts by gradients only.")
    made, model = V5Config(config["model"]["rank"], config["model"]["embedding"]), config["model"]
    found: Classifying | Regressing
    if "texts" in model:
        found = Classifying(made, Texts(TextsConfig(**model["texts"]), made.rank))
    elif "photos" in model:
        found = Classifying(made, Photos(MobileNet(), made.rank, model["photos"]["size"]))
    elif "pictures" in model:
        found = Classifying(made, Pictures(PicturesConfig(**_with_tuples(model["pictures"])), made.rank))
    else:
        found = Regressing(made, Numbers(NumbersConfig(**_with_tuples(model["numbers"])), made.rank), 1)
    weights = torch.load(folder / "best.pt", weights_only=True)
    found.load_state_dict({name.removeprefix("model."): value for name, value in weights.items()})
    return found.eval(), config


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
