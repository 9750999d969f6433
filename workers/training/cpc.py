"""Trains V4 on series, without labels.

python -m workers.training.cpc --recipe v4.nab --out FOLDER [--set seed=1 weights=first]

The folder has checkpoint.pt and best.pt, config.json and metrics.json, as that of every trainer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workers.data.series import Series
from workers.zoo.v4_dc_cpc import DCCPC, Objective, ObjectiveConfig, V4Config

from . import sets
from .checkpoint import describe
from .command import run
from .loop import Options, State, fit, parameters_of
from .progress import Say
from .windows import Windows

_VALIDATION_STEPS = 6  # batches, the same each time
_VALIDATION_SEED = 7919


@dataclass(frozen=True, slots=True)
class CpcConfig:
    name: str
    data: str
    """A set of workers/training/sets.py."""
    model: dict[str, Any]
    """Fields of V4Config, but the number of sensors."""
    weights: str = "dynamic"
    """How much each horizon counts: as learned, or uniform, first, last."""
    has_baseline: bool = True
    excludes_period: bool = True
    entropy: float = 0.2
    length: int = 64
    """Tokens of a window."""
    is_varied: bool = False
    """Windows are stretched, mirrored, raised and missing in parts by chance."""
    options: Options = field(default_factory=Options)

    def objective(self) -> ObjectiveConfig:
        """Raises ValueError."""
        if self.weights not in ("dynamic", "uniform", "first", "last"):
            raise ValueError(f"weights is one of dynamic, uniform, first, last, not {self.weights}")
        return ObjectiveConfig(
            weights=self.weights, has_baseline=self.has_baseline, entropy=self.entropy,
            excludes_period=self.excludes_period,
        )  # fmt: skip


class Predicting:
    """The task that the loop trains."""

    def __init__(self, config: CpcConfig, model: Objective, train: Windows, validation: Windows) -> None:
        self.config, self.model, self.train, self.validation = config, model, train, validation

    def loss(self, step: int) -> Tensor:
        options = self.config.options
        batch = self.train.batch_of_step(step, options.batch_size, options.seed)
        loss: Tensor = self.model(batch.readings, batch.seen, batch.period)[0]
        return loss

    def validate(self) -> dict[str, float]:
        """`score` is the mean InfoNCE, negative, of all horizons, or of the one that counts alone."""
        torch.manual_seed(_VALIDATION_SEED)  # the next step seeds anew
        sums: dict[str, Tensor] = {}
        for step in range(_VALIDATION_STEPS):
            batch = self.validation.batch_of_step(step, 16, _VALIDATION_SEED)
            for name, value in self.model(batch.readings, batch.seen, batch.period)[1].items():
                sums[name] = sums.get(name, torch.zeros(())) + value / _VALIDATION_STEPS
        place = {"first": slice(0, 1), "last": slice(-1, None)}.get(self.config.weights, slice(None))
        weights = sums["weights"]
        horizons = torch.arange(1, len(weights) + 1)
        return {
            "score": -float(sums["nce"][place].mean()),
            "right": float(sums["right"][place].mean()),
            "horizon": float((weights * horizons).sum()),
            "horizons_used": float((-(weights * weights.clamp(min=1e-9).log()).sum()).exp()),
        }


def model_of(config: CpcConfig, sensors: int) -> Objective:
    """Before the first step."""
    torch.manual_seed(config.options.seed)
    return Objective(DCCPC(V4Config(sensors, **config.model)), config.objective())


def pretrain(
    config: CpcConfig, train: Sequence[Series], validation: Sequence[Series], folder: Path, say: Say, stop_at: int = 0,
    about: dict[str, Any] | None = None,
) -> tuple[Objective, State]:  # fmt: skip
    """The best model, or the one at the step to stop at. `about` is what config.json says of the data."""
    model = model_of(config, train[0].values.shape[1])
    parts = [
        Windows(some, config.length, model.model.config.stride, is_varied=is_varied)
        for some, is_varied in ((train, config.is_varied), (validation, False))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    describe(folder, {"training": asdict(config), "model": asdict(model.model.config), "data": about or {}})
    return model, fit(Predicting(config, model, *parts), config.options, folder, say, stop_at)


def train(config: CpcConfig, folder: Path, say: Say, stop_at: int = 0) -> dict[str, Any]:
    """From the beginning, or on from the folder's checkpoint; the figures. Raises DataMissing, ValueError."""
    data = sets.load(config.data, config.options.seed)
    model, state = pretrain(config, data.train, data.validation, folder, say, stop_at, data.about())
    if state.step == stop_at:
        return {}
    model.eval()
    test = data.measure(model.model)
    figures = {
        "accuracy": test.get("accuracy", state.best["score"]), "test": test, "best": state.best,
        "evaluations": state.evaluations, "losses": [round(loss, 4) for loss in state.losses], "steps": state.step,
        "seconds": round(state.seconds, 1), "parameters": parameters_of(model.model), "weights": config.weights,
        "has_baseline": config.has_baseline, "threads": torch.get_num_threads(), "torch": torch.__version__,
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    sys.exit(run("Trains V4 on series, without labels.", "v4.nab", train))
