"""Which byte comes next? A mixture of experts as a language model, and the dense model that it is compared with.

python -m workers.training.moe --recipe v3.shakespeare --out FOLDER [--set seed=1 feed_forward=dense]

`feed_forward`: `moe`, or `dense` with as many active parameters. `is_balanced=false` leaves the load to chance. In
several processes: workers/training/parallel.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from workers.data import tinyshakespeare
from workers.zoo.v3_moe import FEED_FORWARD, V3, V3Config, active_parameters, checkpoint_activations, routers

from .characters import bits_of
from .checkpoint import describe
from .command import run
from .loop import Options, State, fit, parameters_of
from .progress import Said, Say
from .watch import Watch

VOCABULARY = 257  # bytes, and the end of a text, which none of these texts has
_VALIDATION = 20_000  # bytes


@dataclass(frozen=True, slots=True)
class MoeConfig:
    name: str
    model: dict[str, Any]
    """Fields of V3Config."""
    feed_forward: str = "moe"
    is_balanced: bool = True
    length: int = 256
    """Bytes of a window."""
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        if self.feed_forward not in FEED_FORWARD:
            raise ValueError(f"feed_forward is one of {', '.join(FEED_FORWARD)}, not {self.feed_forward}")

    @property
    def sizes(self) -> V3Config:
        sizes = V3Config(VOCABULARY, **self.model)
        return sizes if self.is_balanced else replace(sizes, balance_rate=0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def load_text() -> Text:
    """Raises DataMissing."""
    found = tinyshakespeare.load()
    table = np.frombuffer(found.alphabet.encode("ascii"), np.uint8).astype(np.int64)
    return Text(table[found.train], table[found.validation], table[found.test])


def batch_of(text: Text, config: MoeConfig, step: int) -> Tensor:
    """Windows [batch, length + 1] that belong to this step, whoever asks: the data's position is the step's number."""
    source = np.random.default_rng((config.options.seed, step))
    begins = source.integers(len(text.train) - config.length - 1, size=config.options.batch_size)
    return torch.from_numpy(np.stack([text.train[begin : begin + config.length + 1] for begin in begins]))


def build(config: MoeConfig) -> V3:
    """As it begins: the same in every process."""
    torch.manual_seed(config.options.seed)
    return V3(config.sizes, FEED_FORWARD[config.feed_forward])


class Reading:
    """The task that the loop trains."""

    def __init__(self, config: MoeConfig, model: V3, text: Text) -> None:
        self.config, self.model, self.text = config, model, text

    def loss(self, step: int) -> Tensor:
        self.model.balance()  # after the step before
        ids = batch_of(self.text, self.config, step)
        return F.cross_entropy(self.model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())

    def validate(self) -> dict[str, float]:
        with picks_counted(self.model) as loads:
            bits = bits_of(self.model, self.text.validation[:_VALIDATION], self.config.length)
        return {"score": -bits, "bits": bits, "loss": round(bits * math.log(2), 5), **load_figures(loads)}


@contextmanager
def picks_counted(model: nn.Module) -> Iterator[list[Tensor]]:
    """Of each router [E] how often each expert was picked while this was open."""
    found = list(routers(model))
    loads = [torch.zeros(router.config.experts) for router in found]

    def count(load: Tensor, picks: Tensor) -> None:
        load += torch.bincount(picks.flatten(), minlength=len(load))

    handles = [
        router.register_forward_hook(lambda _, __, routed, load=load: count(load, routed.picks))
        for router, load in zip(found, loads, strict=True)
    ]
    try:
        yield loads
    finally:
        for handle in handles:
            handle.remove()


def load_figures(loads: list[Tensor]) -> dict[str, float]:
    """Mean over the layers: the coefficient of variation of the experts' load, and the heaviest by the mean."""
    if not loads:
        return {}
    spread = torch.stack([load.std(correction=0) / load.mean() for load in loads]).mean()
    heaviest = torch.stack([load.max() / load.mean() for load in loads]).mean()
    return {"load_cv": round(float(spread), 4), "load_max": round(float(heaviest), 4)}


def train(config: MoeConfig, folder: Path, say: Say, stop_at: int = 0) -> dict[str, Any]:
    """From the beginning, or on from the folder's checkpoint; the figures. Raises DataMissing, ValueError."""
    text, model = load_text(), build(config)
    if config.options.checkpointing:
        checkpoint_activations(model)
    folder.mkdir(parents=True, exist_ok=True)
    describe(folder, about(config))
    state = fit(Reading(config, model, text), config.options, folder, _watched(say, config, model), stop_at)
    if state.step == stop_at:
        return {}
    with picks_counted(model.eval()) as loads:
        bits = bits_of(model, text.test, config.length)
    figures = figures_of(config, state, model, {"bits": round(bits, 4), **load_figures(loads)})
    (folder / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def _watched(say: Say, config: MoeConfig, model: V3) -> Say:
    """With what this process does, once a second."""
    watch = Watch(0, {"dp": 0, "pp": 0, "ep": 0}, config.options.batch_size * config.length)

    def told(said: Said) -> None:
        loads = {str(layer): router.load for layer, router in enumerate(routers(model))}
        row = watch.look(said.step, said.loss, loads)
        say(replace(said, ranks=[row]) if row else said)

    return told


def about(config: MoeConfig) -> dict[str, Any]:
    """What it takes to make the model again."""
    data = {"name": "tinyshakespeare", "source": tinyshakespeare.SOURCE, "licence": tinyshakespeare.LICENCE}
    return {"training": asdict(config), "model": asdict(config.sizes), "data": data}


def figures_of(config: MoeConfig, state: State, model: V3, test: dict[str, float]) -> dict[str, Any]:
    options = config.options
    return {
        "accuracy": -test["bits"], **test, "feed_forward": config.feed_forward, "best": state.best,
        "evaluations": state.evaluations, "losses": [round(loss, 4) for loss in state.losses], "steps": state.step,
        "bytes": state.step * options.batch_size * config.length, "seconds": round(state.seconds, 1),
        "parameters": parameters_of(model), "parameters_active": active_parameters(model),
        "perplexity": round(math.exp(test["bits"] * math.log(2)), 4),
        "threads": torch.get_num_threads(), "torch": torch.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(run("Trains a language model with a mixture of experts.", "v3.shakespeare", train))
