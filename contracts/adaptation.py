"""What both sides say about adapting a chat model to conversations (contracts/conversations.py).

A job of the kind ADAPT_JOB, whose arguments are `AdaptArguments.to_dict()`, trains LoRA on the original of an imported
model, merges it and exports it as the import was. Its result is `{artifact, digest, metrics}`; the artifact has the
adapter as peft writes it (FILES) beside the graph, and its manifest has COMPARED: what base and adapted model answer.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from .messages import Message

ADAPT_JOB = "adapt_model"
FILES = ("adapter_config.json", "adapter_model.safetensors")
COMPARED = "compared"  # key of a manifest: a list of {line, question, wanted, before, after, served}
PRECISIONS = ("int4", "int8", "fp16", "fp32")


class Bounds(NamedTuple):
    least: float
    most: float


BOUNDS = {
    "rank": Bounds(1, 128),
    "alpha": Bounds(1, 512),
    "learning_rate": Bounds(1e-6, 1e-2),
    "epochs": Bounds(1, 50),
    "batch_size": Bounds(1, 64),
    "longest": Bounds(64, 8192),
    "seed": Bounds(0, 2**31 - 1),
}


@dataclass(frozen=True, slots=True)
class Settings(Message):
    """How to train. Raises ValueError with `field: reason`."""

    rank: int = 8
    alpha: int = 16  # the adapter counts alpha / rank times
    learning_rate: float = 2e-4
    epochs: int = 3
    batch_size: int = 4
    longest: int = 1024  # tokens of a conversation; longer ones are left out
    seed: int = 0

    def __post_init__(self) -> None:
        for name, bounds in BOUNDS.items():
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not is_number or not bounds.least <= value <= bounds.most:
                raise ValueError(f"{name}: must be between {bounds.least} and {bounds.most}, got {value}")
            if name != "learning_rate" and not isinstance(value, int):
                raise ValueError(f"{name}: must be a whole number")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class AdaptArguments(Message):
    """`base` has what the base's manifest says of it: version, digest, sha256 of its source, origin, licence."""

    name: str
    title: str
    source: str  # path of the original below one of roots; empty for the chat model that comes with the release
    roots: list[str]
    most_bytes: int
    base: dict[str, str]
    data: str  # path of the file of conversations, on storage that both sides see
    data_name: str
    data_sha256: str
    precision: str
    settings: dict[str, Any] = field(default_factory=dict)  # of Settings
    store: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
