"""Which digit is said? V4 learned without labels and a linear probe, or the same network learned with them.

python -m workers.training.spoken --recipe v4.fsdd_supervised --out FOLDER [--set seed=1 share=0.1 split=speakers]
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.data import fsdd
from workers.data.series import Series
from workers.zoo.v4_dc_cpc import DCCPC, V4Config

from .checkpoint import describe
from .command import run
from .loop import Options, State, fit, parameters_of
from .probe import Probe
from .progress import Say

DIGITS = 10
LEFT_OUT = ("lucas", "theo")  # speakers that only the test has, with the split `speakers`
_PARTS = 3  # of a recording, each with a mean of its own
SHARES = (1.0, 0.1, 0.02)  # of the labels


@dataclass(frozen=True, slots=True)
class SpokenConfig:
    name: str
    model: dict[str, Any]
    """Fields of V4Config, but the number of sensors."""
    split: str = "official"
    """`official` tests with other recordings of the same people, `speakers` with other people."""
    share: float = 1.0
    """Of the labels."""
    longest: int = 64
    """Tokens of a recording that are heard."""
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    train: list[Series]
    validation: list[Series]
    test: list[Series]

    def few(self, share: float, seed: int) -> list[Series]:
        """So many of the training, of each digit alike."""
        source = random.Random(seed)
        by_digit = [[one for one in self.train if one.label == digit] for digit in range(DIGITS)]
        return [one for some in by_digit for one in source.sample(some, max(1, round(share * len(some))))]


def load(split: str) -> Spoken:
    """Log-mel spectrograms. A tenth of the training is for validation. Raises DataMissing, ValueError."""
    if split not in ("official", "speakers"):
        raise ValueError(f"split is one of official, speakers, not {split}")
    train, test = fsdd.load()
    if split == "speakers":
        everyone = train + test
        train = [one for one in everyone if one.group not in LEFT_OUT]
        test = [one for one in everyone if one.group in LEFT_OUT]
    train, test = (
        [Series(one.name, fsdd.log_mel(one.values), one.label, one.group) for one in part] for part in (train, test)
    )
    order = random.Random(0).sample(train, len(train))
    held = len(order) // 10
    return Spoken(order[held:], order[:held], test)


def pooled(states: Tensor, lengths: Tensor) -> Tensor:
    """[B, N, C] to [B, (_PARTS + 1) C]: the mean of each third of what is said, and the highest of all."""
    place = torch.arange(states.shape[1])
    found = []
    for part in range(_PARTS):
        begin, end = (lengths * number // _PARTS for number in (part, part + 1))
        is_in = (place >= begin[:, None]) & (place < torch.maximum(end, begin + 1)[:, None])
        found.append((states * is_in[..., None]).sum(1) / is_in.sum(1, keepdim=True).clamp(min=1))
    is_said = place < lengths[:, None]
    found.append(torch.where(is_said[..., None], states, -1e4).amax(1))
    return torch.cat(found, -1)


def batch_of(recordings: Sequence[Series], stride: int, longest: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """readings and seen [B, T, F], lengths in tokens and digits [B]. What is after the end is missing, and nothing
    before it knows."""
    lengths = [max(1, min(longest, len(one.values) // stride)) for one in recordings]
    readings = torch.zeros(len(recordings), max(lengths) * stride, recordings[0].values.shape[1])
    seen = torch.zeros_like(readings)
    for place, (one, length) in enumerate(zip(recordings, lengths, strict=True)):
        part = torch.from_numpy(np.ascontiguousarray(one.values[: length * stride]))
        readings[place, : len(part)], seen[place, : len(part)] = part, 1
    return readings, seen, torch.tensor(lengths), torch.tensor([one.label for one in recordings])


@torch.no_grad()
def features(model: DCCPC, recordings: Sequence[Series], longest: int) -> tuple[Tensor, Tensor]:
    """[recordings, D] and digits."""
    rows, digits = [], []
    for begin in range(0, len(recordings), 64):
        readings, seen, lengths, labels = batch_of(recordings[begin : begin + 64], model.config.stride, longest)
        known, _ = model(readings, seen)
        rows.append(pooled(torch.cat([known.contexts, known.tokens], -1), lengths))
        digits.append(labels)
    return torch.cat(rows), torch.cat(digits)


def probed(model: DCCPC, spoken: Spoken, seed: int, longest: int = 64) -> dict[str, Any]:
    """Accuracy of linear probes on the test, with all labels, a tenth and a fiftieth of them."""
    test, found = features(model, spoken.test, longest), {}
    for share in SHARES:
        probe = Probe(*features(model, spoken.few(share, seed), longest), DIGITS)
        found[f"labels_{100 * share:g}"] = round(probe.accuracy(*test), 4)
    return {"accuracy": found["labels_100"], **found, "recordings": len(spoken.test)}


class Listener(nn.Module):
    """The same network with ten outputs."""

    def __init__(self, config: V4Config) -> None:
        super().__init__()
        self.body = DCCPC(config)
        self.head = nn.Linear((_PARTS + 1) * (config.width + config.space), DIGITS)

    def forward(self, readings: Tensor, seen: Tensor, lengths: Tensor) -> Tensor:
        """[B, DIGITS]"""
        known, _ = self.body(readings, seen)
        logits: Tensor = self.head(pooled(torch.cat([known.contexts, known.tokens], -1), lengths))
        return logits


class Listening:
    """The task that the loop trains."""

    def __init__(self, config: SpokenConfig, model: Listener, train: Sequence[Series], validation: Sequence[Series]):
        self.config, self.model, self.train, self.validation = config, model, train, validation

    def loss(self, step: int) -> Tensor:
        options = self.config.options
        chosen = random.Random(f"{options.seed} {step}").choices(self.train, k=options.batch_size)
        readings, seen, lengths, digits = batch_of(chosen, self.model.body.config.stride, self.config.longest)
        return F.cross_entropy(self.model(readings, seen, lengths), digits)

    def validate(self) -> dict[str, float]:
        return {"score": score(self.model, self.validation, self.config.longest)}


@torch.no_grad()
def score(model: Listener, recordings: Sequence[Series], longest: int) -> float:
    right = 0
    for begin in range(0, len(recordings), 64):
        readings, seen, lengths, digits = batch_of(recordings[begin : begin + 64], model.body.config.stride, longest)
        right += int((model(readings, seen, lengths).argmax(-1) == digits).sum())
    return right / len(recordings)


def train(config: SpokenConfig, folder: Path, say: Say, stop_at: int = 0) -> dict[str, Any]:
    """From the beginning, or on from the folder's checkpoint; the figures. Raises DataMissing, ValueError."""
    spoken = load(config.split)
    torch.manual_seed(config.options.seed)
    model = Listener(V4Config(fsdd.BANDS, **config.model))
    folder.mkdir(parents=True, exist_ok=True)
    about = {"name": "fsdd", "source": fsdd.SOURCE, "licence": fsdd.LICENCE}
    describe(folder, {"training": asdict(config), "model": asdict(model.body.config), "data": about})
    some = spoken.few(config.share, config.options.seed)
    state = fit(Listening(config, model, some, spoken.validation), config.options, folder, say, stop_at)
    if state.step == stop_at:
        return {}
    figures = _figures(config, state, score(model.eval(), spoken.test, config.longest), model, len(some))
    (folder / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def _figures(config: SpokenConfig, state: State, test: float, model: nn.Module, labels: int) -> dict[str, Any]:
    return {
        "accuracy": round(test, 4), "best": state.best, "evaluations": state.evaluations, "labels": labels,
        "losses": [round(loss, 4) for loss in state.losses], "steps": state.step, "seconds": round(state.seconds, 1),
        "parameters": parameters_of(model), "threads": torch.get_num_threads(), "torch": torch.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(run("Trains the network of V4 on spoken digits with labels.", "v4.fsdd_supervised", train))
