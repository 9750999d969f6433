"""Which letter comes next? A small language model with and without the features of a V4 that read the text before.

python -m workers.training.characters --recipe v4.characters --out FOLDER [--set seed=1 features=untrained]

`features`: `cpc` are the contexts of a V4 trained without labels on the same text (its run lies in FOLDER/cpc), which
stay as they are; `untrained` those of the same network as it was drawn, so that sizes are equal; `none` has none.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from workers.data import tinyshakespeare
from workers.data.series import Series
from workers.zoo.v4_dc_cpc import DCCPC, V4Config

from .checkpoint import describe
from .command import run
from .cpc import CpcConfig, pretrain
from .loop import Options, State, fit, parameters_of
from .progress import Say

FEATURES = ("cpc", "untrained", "none")
_PIECES = 40  # series that the text is cut into for the other objective


@dataclass(frozen=True, slots=True)
class CharactersConfig:
    name: str
    model: dict[str, Any]
    """Fields of V4Config, of the language model and of what it is given alike."""
    features: str = "cpc"
    length: int = 96
    """Letters of a window."""
    options: Options = field(default_factory=Options)
    before: Options = field(default_factory=Options)
    """How the features are learned."""

    def __post_init__(self) -> None:
        if self.features not in FEATURES:
            raise ValueError(f"features is one of {', '.join(FEATURES)}, not {self.features}")


class Reader(nn.Module):
    """The network of V4 as a language model; beside what it knows, what another knows that does not learn."""

    def __init__(self, config: V4Config, given: DCCPC | None) -> None:
        super().__init__()
        self.body = DCCPC(config)
        self.given = given
        self.head = nn.Linear(config.width * (1 if given is None else 2), config.sensors)

    def forward(self, ids: Tensor) -> Tensor:
        """[B, N] to the logits of the next letter [B, N, letters]."""
        readings = F.one_hot(ids, self.body.config.sensors).float()
        seen = torch.ones_like(readings)
        states = [self.body(readings, seen)[0].contexts]
        if self.given is not None:
            with torch.no_grad():
                states.append(self.given.eval()(readings, seen)[0].contexts)
        logits: Tensor = self.head(torch.cat(states, -1))
        return logits


class Reading:
    """The task that the loop trains."""

    def __init__(self, config: CharactersConfig, model: Reader, text: tinyshakespeare.Characters) -> None:
        self.config, self.model, self.text = config, model, text

    def loss(self, step: int) -> Tensor:
        options = self.config.options
        source = np.random.default_rng((options.seed, step))
        begins = source.integers(len(self.text.train) - self.config.length - 1, size=options.batch_size)
        rows = np.stack([self.text.train[begin : begin + self.config.length + 1] for begin in begins])
        ids = torch.from_numpy(rows)
        return F.cross_entropy(self.model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())

    def validate(self) -> dict[str, float]:
        bits = bits_of(self.model, self.text.validation[:20_000], self.config.length)
        return {"score": -bits, "bits": bits}


@torch.no_grad()
def bits_of(model: nn.Module, letters: NDArray[np.int64], length: int) -> float:
    """Bits a letter. Windows overlap by half; of each the second half is counted, so every letter has half a window
    before it."""
    half, sums, count = length // 2, 0.0, 0
    begins = list(range(0, len(letters) - length - 1, half))
    for some in (begins[place : place + 64] for place in range(0, len(begins), 64)):
        ids = torch.from_numpy(np.stack([letters[begin : begin + length + 1] for begin in some]))
        logits = model(ids[:, :-1])[:, half:]
        sums += float(F.cross_entropy(logits.flatten(0, 1), ids[:, half + 1 :].flatten(), reduction="sum"))
        count += logits.shape[0] * logits.shape[1]
    return sums / count / math.log(2)


def _given(
    config: CharactersConfig, sizes: V4Config, text: tinyshakespeare.Characters, folder: Path, say: Say
) -> DCCPC | None:
    if config.features == "none":
        return None
    torch.manual_seed(config.options.seed + 1)
    model = DCCPC(sizes)
    if config.features == "cpc":
        asked = CpcConfig(f"{config.name}-features", "tinyshakespeare", config.model, length=config.length,
                          options=replace(config.before, seed=config.options.seed))  # fmt: skip
        pieces = (_series(part, sizes.sensors) for part in (text.train, text.validation))
        objective, _ = pretrain(asked, *pieces, folder / "cpc", say)
        model = objective.model
    return model


def _series(letters: NDArray[np.int64], size: int) -> Sequence[Series]:
    """Each letter as a sensor that is 1."""
    table = np.eye(size, dtype=np.float16)
    return [Series(f"piece {n}", table[part]) for n, part in enumerate(np.array_split(letters, _PIECES))]


def train(config: CharactersConfig, folder: Path, say: Say, stop_at: int = 0) -> dict[str, Any]:
    """From the beginning, or on from the folder's checkpoint; the figures. Raises DataMissing, ValueError."""
    text = tinyshakespeare.load()
    sizes = V4Config(len(text.alphabet), **config.model)
    folder.mkdir(parents=True, exist_ok=True)
    given = _given(config, sizes, text, folder, say)
    torch.manual_seed(config.options.seed)
    model = Reader(sizes, given)
    about = {"name": "tinyshakespeare", "source": tinyshakespeare.SOURCE, "licence": tinyshakespeare.LICENCE}
    describe(folder, {"training": asdict(config), "model": asdict(sizes), "data": about})
    options = replace(config.options, frozen=("given",))
    state = fit(Reading(config, model, text), options, folder, say, stop_at)
    if state.step == stop_at:
        return {}
    bits = bits_of(model.eval(), text.test, config.length)
    figures = _figures(config, state, bits, model)
    (folder / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def _figures(config: CharactersConfig, state: State, bits: float, model: Reader) -> dict[str, Any]:
    return {
        "accuracy": -bits, "bits": round(bits, 4), "features": config.features, "best": state.best,
        "evaluations": state.evaluations, "losses": [round(loss, 4) for loss in state.losses], "steps": state.step,
        "seconds": round(state.seconds, 1), "parameters": parameters_of(model),
        "parameters_learned": sum(value.numel() for value in model.parameters() if value.requires_grad),
        "threads": torch.get_num_threads(), "torch": torch.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(run("Trains a language model of letters on features of V4.", "v4.characters", train))
