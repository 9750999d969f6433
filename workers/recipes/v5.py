"""Runs of meta-learned adaptation. What is compared with it are changes of `learner`; ablations change a field."""

from __future__ import annotations

import dataclasses

from workers.training.loop import Options
from workers.training.meta import MetaConfig


def omniglot() -> MetaConfig:
    """Letters of alphabets that nobody has seen, 5 of them from one drawing each."""
    return MetaConfig(
        name="v5-omniglot", data="omniglot", ways=5, shots=1, queries=5,
        options=Options(steps=4000, batch_size=16, learning_rate=2e-3, evaluate_every=400, checkpoint_every=200,
                        warmup=0.02, clip=10.0),
    )  # fmt: skip


def omniglot_20() -> MetaConfig:
    """The same with 20."""
    found = omniglot()
    options = dataclasses.replace(found.options, batch_size=6)
    return dataclasses.replace(found, name="v5-omniglot-20", ways=20, queries=3, options=options)


def curves() -> MetaConfig:
    """Curves of five families, from five points each."""
    return MetaConfig(
        name="v5-curves", data="curves", model={"widths": (100, 100, 100)}, modes=5, shots=5, queries=5, rank=16,
        steps_inside=3, rate=0.001, validation_tasks=600,
        options=Options(steps=12_000, batch_size=50, learning_rate=1e-3, evaluate_every=1000, checkpoint_every=500,
                        warmup=0.02, clip=10.0),
    )  # fmt: skip


def topics() -> MetaConfig:
    """Topics of news that nobody has seen, from five texts each, on MiniLM."""
    return MetaConfig(
        name="v5-topics", data="topics", ways=2, shots=5, queries=5, rank=4, is_second_order=False,
        validation_tasks=100,
        options=Options(steps=300, batch_size=4, learning_rate=1e-3, evaluate_every=60, checkpoint_every=20,
                        warmup=0.05, clip=5.0, weight_decay=0.0),
    )  # fmt: skip


def emoji() -> MetaConfig:
    """Concepts that nobody has seen, from one drawing by another vendor, on MobileNetV2. Trained on 20 at a time: of 5
    the frozen base tells most already."""
    return MetaConfig(
        name="v5-emoji", data="emoji", model={"size": 96}, ways=20, shots=1, queries=1, rank=4, is_second_order=False,
        validation_tasks=100,
        options=Options(steps=600, batch_size=2, learning_rate=1e-3, evaluate_every=100, checkpoint_every=50,
                        warmup=0.05, clip=5.0, weight_decay=0.0),
    )  # fmt: skip
