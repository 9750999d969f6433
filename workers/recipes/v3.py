"""Language models of bytes, each of them a quarter of an hour on one core."""

from __future__ import annotations

from dataclasses import replace

from workers.training.loop import Options
from workers.training.moe import MoeConfig


def shakespeare() -> MoeConfig:
    """Eight experts, two for each byte: three times the parameters that a byte meets."""
    return MoeConfig(
        name="v3-shakespeare",
        model={"width": 128, "layers": 4, "heads": 4, "kv_heads": 2, "hidden": 128, "context": 256},
        options=Options(
            steps=2500, batch_size=8, learning_rate=2e-3, weight_decay=0.1, evaluate_every=250, warmup=0.05
        ),
    )


def shakespeare_dense() -> MoeConfig:
    """As many active parameters, all of them for every byte."""
    return replace(shakespeare(), name="v3-shakespeare-dense", feed_forward="dense")


def shakespeare_unbalanced() -> MoeConfig:
    """The mixture without biases that even its load out."""
    return replace(shakespeare(), name="v3-shakespeare-unbalanced", is_balanced=False)
