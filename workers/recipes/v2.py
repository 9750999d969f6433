"""Runs of the cross-modal bridge."""

from __future__ import annotations

from workers.training.loop import Options
from workers.training.questions import QuestionsConfig


def sort_of_clevr() -> QuestionsConfig:
    """Questions on pictures of six things, from scratch."""
    picture = {"blocks": (1, 1, 1), "width": 24, "expansion": 1, "strides": (2, 2, 2), "is_pooled": False}
    return QuestionsConfig(
        name="v2-sort-of-clevr",
        model={"picture": picture, "text_width": 64, "text_layers": 3, "text_hidden": 128, "positions": 16,
               "dropout": 0.0, "space": 64, "width": 96, "heads": 4, "grid": 8},
        opens_by=0.15,
        # A gate that learns as slowly as the weights takes a third of the steps to open.
        options=Options(steps=4000, batch_size=32, learning_rate=1e-3, evaluate_every=400, warmup=0.05,
                        fast=("gates",), fast_factor=10.0),
    )  # fmt: skip
