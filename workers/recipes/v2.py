"""Runs of the cross-modal bridge."""

from __future__ import annotations

import dataclasses

from workers.training.loop import Options
from workers.training.questions import QuestionsConfig
from workers.training.retrieval import RetrievalConfig


def sort_of_clevr() -> QuestionsConfig:
    """Questions on pictures of six things, from scratch."""
    picture = {"blocks": (1, 1, 1), "width": 24, "expansion": 1, "strides": (2, 2, 2), "is_pooled": False}
    return QuestionsConfig(
        name="v2-sort-of-clevr",
        model={"picture": picture, "text_width": 64, "text_layers": 3, "text_hidden": 128, "positions": 16,
               "dropout": 0.0, "space": 64, "width": 64, "heads": 4, "grid": 8},
        opens_by=0.05,
        lessons=(0.14, 0.23),
        asked=8,
        relational=6,
        train_pictures=60_000,
        held_back_pictures=500,
        options=Options(steps=3500, batch_size=40, learning_rate=1e-3, evaluate_every=500, checkpoint_every=250,
                        warmup=0.05, bf16=True),
    )  # fmt: skip


def emoji() -> RetrievalConfig:
    """Pictures of one vendor with their names and keywords, on MobileNetV2 and three layers of MiniLM."""
    return RetrievalConfig(
        name="v2-emoji",
        model={"text_width": 384, "text_layers": 3, "text_heads": 12, "text_hidden": 1536, "positions": 64,
               "dropout": 0.1, "space": 256, "width": 128, "heads": 4, "grid": 4, "is_placed": True},
        layers_kept=(0, 3, 5),
        texts=64,
        options=Options(steps=2000, batch_size=128, learning_rate=1e-4, evaluate_every=400, warmup=0.05,
                        frozen=tuple(f"cmab.pictures.network.features.{place}." for place in range(4)),
                        fast=("parts", "bridge", "log_scale", "cmab.bias", "embeddings.word"), fast_factor=3.0),
    )  # fmt: skip


def photos() -> RetrievalConfig:
    """Drawings and photos in one space: MobileNetV2 stays as ImageNet left it, and the names of its classes are learned
    beside those of the emoji."""
    found = emoji()
    options = dataclasses.replace(found.options, steps=800, evaluate_every=400, frozen=("cmab.pictures.network",))
    return dataclasses.replace(
        found, name="v2-photos", model={**found.model, "grid": 6}, size=192, drawings=4, classes=48, options=options
    )
