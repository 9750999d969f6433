"""Will an engine fail within 30 cycles? Measured on engines that neither the model nor the threshold has seen."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contracts.conformal import calibrated, threshold
from workers.data.cmapss import Engine
from workers.zoo.v4_dc_cpc import DCCPC

from .probe import Probe

BUDGETS = (1.0, 2.0, 3.0)  # per cent of the cycles of sound engines that may be called unsound
_REDRAWS = 1000
_SMOOTHED = 15  # cycles: of the simple features
Features = Callable[[Engine], Tensor]  # [T, D]


class Scaled:
    """Sensors by the mean and deviation of the engines to learn from."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        rows = np.concatenate([one.values for one in engines])
        self._mean, self._deviation = rows.mean(0), rows.std(0)

    def apply(self, engine: Engine) -> Engine:
        values = ((engine.values - self._mean) / self._deviation).astype(np.float32)
        return Engine(engine.number, values, engine.left)


def contexts(model: DCCPC) -> Features:
    """What V4 knows after each cycle: its context, and the same of the readings alone."""

    def of(engine: Engine) -> Tensor:
        readings = torch.from_numpy(engine.values)[None]
        known, _ = model(readings, torch.ones_like(readings))
        return torch.cat([known.contexts[0], known.tokens[0]], -1)

    return of


def last(engine: Engine) -> Tensor:
    """The readings of the cycle."""
    return torch.from_numpy(engine.values)


def smoothed(engine: Engine) -> Tensor:
    """The mean of the last cycles, and how it has moved."""
    sums = np.cumsum(np.vstack([np.zeros_like(engine.values[:1]), engine.values]), 0)
    end = np.arange(1, len(engine.values) + 1)
    begin = np.maximum(0, end - _SMOOTHED)
    mean = (sums[end] - sums[begin]) / (end - begin)[:, None]
    return torch.from_numpy(np.hstack([mean, mean - mean[np.maximum(0, end - 1 - _SMOOTHED)]]).astype(np.float32))


def measured(
    features: Features, learned: Sequence[Engine], kept: Sequence[Engine], judged: Sequence[Engine],
    stopped: Sequence[Engine],
) -> dict[str, Any]:  # fmt: skip
    """A probe on `learned`; its threshold from sound cycles of `kept`; every cycle of `judged`, and the last one of
    each of the `stopped`, which is what others publish."""
    rows, labels = _rows(features, learned)
    probe = Probe(rows, labels, 2)
    score = {id(one): _margin(probe, features(one)) for one in [*kept, *judged, *stopped]}
    sound = [float(value) for one in kept for value in score[id(one)][~one.fails_soon]]
    found: dict[str, Any] = {}
    for budget in BUDGETS:
        limit = threshold(calibrated(sound, 1.0), budget, "cent")
        alarms = [(score[id(one)] > limit, one.fails_soon) for one in judged]
        ends = [(score[id(one)][-1:] > limit, one.fails_soon[-1:]) for one in stopped]
        found[f"budget_{budget:g}"] = {**_figures(alarms), "interval": _interval(alarms), "last_cycle": _figures(ends)}
    half = [(score[id(one)] > 0, one.fails_soon) for one in judged]
    found["at_even_odds"] = _figures(half)
    truth = np.concatenate([one.fails_soon for one in judged])
    found["never"] = {"accuracy": float((~truth).mean()), "cycles": len(truth)}
    return found


def _rows(features: Features, engines: Sequence[Engine]) -> tuple[Tensor, Tensor]:
    labels = np.concatenate([one.fails_soon for one in engines])
    return torch.cat([features(one) for one in engines]), torch.from_numpy(labels.astype(np.int64))


def _margin(probe: Probe, rows: Tensor) -> NDArray[np.float64]:
    logits = probe.logits(rows)
    return (logits[:, 1] - logits[:, 0]).numpy().astype(np.float64)


def _figures(alarms: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]]) -> dict[str, float]:
    """Over all cycles alike."""
    alarm, truth = (np.concatenate(part) for part in zip(*alarms, strict=True))
    hits = int((alarm & truth).sum())
    return {
        "accuracy": round(float((alarm == truth).mean()), 4),
        "false_alarm_rate": round(float(alarm[~truth].mean()), 4) if (~truth).any() else 0.0,
        "recall": round(hits / max(1, int(truth.sum())), 4),
        "precision": round(hits / max(1, int(alarm.sum())), 4),
    }


def _interval(alarms: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]]) -> dict[str, list[float]]:
    """2.5 and 97.5 per cent of the figures when engines are drawn again: cycles of one engine are alike."""
    source = random.Random(0)
    drawn = [_figures(source.choices(alarms, k=len(alarms))) for _ in range(_REDRAWS)]
    return {
        name: [round(float(value), 4) for value in np.percentile([one[name] for one in drawn], [2.5, 97.5])]
        for name in drawn[0]
    }
