"""Runs of dynamic-context CPC, each of them minutes on one core."""

from __future__ import annotations

from workers.training.characters import CharactersConfig
from workers.training.cpc import CpcConfig
from workers.training.loop import Options
from workers.training.spoken import SpokenConfig

_SPEECH = {"strides": (2,), "kernels": (4,), "width": 96, "layers": 2, "heads": 4, "hidden": 192, "window": 24,
           "space": 64, "dropout": 0.1}  # fmt: skip


def nab() -> CpcConfig:
    """Series of one sensor, whatever it is: what the released model learns from."""
    return CpcConfig(
        name="v4-nab", data="nab", model={"width": 32, "layers": 2, "heads": 4, "hidden": 64, "window": 24},
        length=72, is_varied=True,
        options=Options(steps=4000, batch_size=16, learning_rate=2e-3, evaluate_every=500, warmup=0.05),
    )  # fmt: skip


def cmapss() -> CpcConfig:
    """Engines with 14 sensors, a token a cycle."""
    return CpcConfig(
        name="v4-cmapss", data="cmapss",
        model={"strides": (1,), "kernels": (5,), "width": 48, "layers": 2, "heads": 4, "hidden": 96, "window": 32},
        length=72,
        options=Options(steps=2500, batch_size=16, learning_rate=2e-3, evaluate_every=500, warmup=0.05),
    )  # fmt: skip


def fsdd() -> CpcConfig:
    """Spoken digits without labels."""
    return CpcConfig(
        name="v4-fsdd", data="fsdd", model=_SPEECH, length=32,
        options=Options(steps=3000, batch_size=16, learning_rate=1e-3, evaluate_every=500, warmup=0.05),
    )  # fmt: skip


def fsdd_supervised() -> SpokenConfig:
    """The same network with labels."""
    return SpokenConfig(
        name="v4-fsdd-supervised", model=_SPEECH,
        options=Options(steps=1200, batch_size=32, learning_rate=1e-3, evaluate_every=200, warmup=0.05),
    )  # fmt: skip


def characters() -> CharactersConfig:
    """Shakespeare, letter by letter, with features of a V4 that has read the same text without labels."""
    return CharactersConfig(
        name="v4-characters",
        model={"strides": (1,), "kernels": (1,), "width": 96, "layers": 2, "heads": 4, "hidden": 192, "window": 48,
               "space": 64},
        options=Options(steps=1500, batch_size=16, learning_rate=2e-3, evaluate_every=250, warmup=0.05),
        before=Options(steps=1200, batch_size=12, learning_rate=1e-3, evaluate_every=400, warmup=0.05),
    )  # fmt: skip


def series(sensors: int = 1) -> CpcConfig:
    """One history of one asset: what a job trains, in a minute or two."""
    width = 32 if sensors <= 8 else 64
    return CpcConfig(
        name="v4-series", data="history",
        model={"strides": (2,), "kernels": (2,), "width": width, "layers": 2, "heads": 4, "hidden": 2 * width,
               "window": 24},
        length=48,
        options=Options(steps=600, batch_size=16, learning_rate=2e-3, evaluate_every=200, warmup=0.05),
    )  # fmt: skip
