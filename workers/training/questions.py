"""Trains a model that answers questions on pictures: the bridge of V2, or a network without one beside it.

python -m workers.training.questions --recipe v2.sort_of_clevr --out FOLDER [--set seed=1 network=plain]
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from workers.data import sort_of_clevr, vocabulary
from workers.data.sort_of_clevr import ANSWERS, KINDS, OF_ONE, QUESTIONS, Asked
from workers.zoo.resnet import ResNet, ResNetConfig, grid_of
from workers.zoo.v2_cmab import CMAB, V2Config

from .checkpoint import describe
from .command import run
from .fusion import opened
from .loop import Options, State, fit, is_bf16, parameters_of
from .progress import Say

NETWORKS = ("bridge", "plain")


@dataclass(frozen=True, slots=True)
class QuestionsConfig:
    name: str
    model: dict[str, Any]
    """Fields of V2Config, but the sizes of vocabulary and answers."""
    network: str = "bridge"
    """`plain` is the same picture tower with an MLP over picture and question, as in Santoro et al. 2017."""
    is_shared: bool = True
    """One affinity a depth for both directions."""
    opens_by: float = 0.4
    """Progressive fusion: the depths are opened one after the other up to this share of the steps; 0 is all at once."""
    lessons: tuple[float, float] = (0.0, 0.0)
    """Up to the first share of the steps only shapes of things are asked, up to the second only what looks at one;
    then everything. Which thing a word means has to be found first, and the other questions say little of it."""
    train_pictures: int = 9_800
    held_back_pictures: int = 200
    """For validation and for the test each."""
    asked: int = 4
    """Questions a picture in a step."""
    relational: int = 2
    """So many of them on more than one thing, once everything is asked."""
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class Asking:
    """How many questions a picture in a step: on one thing, of these kinds, and on more than one."""

    one: int
    more: int
    of_one: tuple[str, ...] = OF_ONE


@dataclass(frozen=True, slots=True)
class Batch:
    pixels: Tensor  # [B, 3, 64, 64]
    picture: Tensor  # [Q] which of them
    ids: Tensor  # [Q, T]
    mask: Tensor  # [Q, T]
    answers: Tensor  # [Q]


class Questions:
    """Pictures with their questions as batches."""

    def __init__(self, asked: Asked, tokenizer: Tokenizer) -> None:
        self.pixels = torch.from_numpy(asked.pictures).permute(0, 3, 1, 2).contiguous()
        self.each = len(asked.picture) // len(asked.pictures)
        self.question, self.answer = torch.from_numpy(asked.question), torch.from_numpy(asked.answer)
        encodings = tokenizer.encode_batch([one.text for one in QUESTIONS])
        longest = max(len(one.ids) for one in encodings)
        self.ids = torch.tensor([one.ids + [0] * (longest - len(one.ids)) for one in encodings])
        self.mask = (torch.arange(longest) < torch.tensor([len(one.ids) for one in encodings])[:, None]).long()
        self.is_relational = torch.tensor([one.is_relational for one in QUESTIONS])[self.question]
        self.kind = np.array([KINDS.index(one.kind) for one in QUESTIONS])[asked.question]

    def __len__(self) -> int:
        return len(self.pixels)

    def batch_of_step(self, step: int, size: int, asked: Asking, seed: int) -> Batch:
        """Every picture once in each pass."""
        count = max(1, len(self) // size)
        order = random.Random(f"{seed} {step // count}").sample(range(len(self)), len(self))
        pictures = order[step % count * size :][:size]
        source = np.random.default_rng((seed, step))
        return self.batch(pictures, [self._some(picture, asked, source) for picture in pictures])

    def _some(self, picture: int, asked: Asking, source: np.random.Generator) -> Any:
        """Rows; fewer than are asked where the picture has no more."""
        one, more = picture * self.each + source.permuted(np.arange(self.each).reshape(2, -1), axis=1)
        one = one[np.isin(self.kind[one], [KINDS.index(kind) for kind in asked.of_one])]
        return np.concatenate([one[: asked.one], more[: asked.more]])

    def batch(self, pictures: list[int], rows: list[Any]) -> Batch:
        """These pictures, and for each of them the rows of its questions."""
        flat = torch.from_numpy(np.concatenate(rows))
        which = torch.arange(len(pictures)).repeat_interleave(torch.tensor([len(row) for row in rows]))
        number = self.question[flat]
        pixels = self.pixels[pictures].float() / 127.5 - 1
        return Batch(pixels, which, self.ids[number], self.mask[number], self.answer[flat])


class Plain(nn.Module):
    """Picture tower, mean of the words, and four layers over all places at once."""

    def __init__(self, config: V2Config) -> None:
        super().__init__()
        self.config, self.grid = config, config.grid
        self.network = ResNet(config.picture)
        self.squeeze = nn.Linear(config.picture.channels[-1], 24)
        self.word = nn.Embedding(config.vocab_size, config.width)
        inside = 4 * config.width
        self.head = nn.Sequential(
            nn.Linear(24 * config.grid**2 + config.width, inside), nn.ReLU(), nn.Linear(inside, inside), nn.ReLU(),
            nn.Linear(inside, inside), nn.ReLU(), nn.Linear(inside, config.answers),
        )  # fmt: skip

    def forward(self, batch: Batch) -> Tensor:
        """[Q, answers]"""
        places = self.squeeze(grid_of(self.network(batch.pixels)[-1], self.grid)).flatten(1)
        weight = batch.mask[..., None].float()
        words = (self.word(batch.ids) * weight).sum(1) / weight.sum(1)
        return self.head(torch.cat([places[batch.picture], words], -1))


class Bridged(nn.Module):
    """A picture is looked at once, however many questions there are on it."""

    def __init__(self, config: V2Config) -> None:
        super().__init__()
        self.config = config
        self.cmab = CMAB(config)

    def forward(self, batch: Batch) -> Tensor:
        """[Q, answers]"""
        return answers(self.cmab, batch)


def answers(model: Any, batch: Batch) -> Tensor:
    """[Q, answers], logits of V2 or of its graphs."""
    places = model.pictures(batch.pixels).parts[batch.picture]
    logits: Tensor = model.bridge(model.texts(batch.ids, batch.mask).parts, places, batch.mask).answers
    return logits


class Answering:
    """The task that the loop trains."""

    def __init__(
        self, config: QuestionsConfig, model: Plain | Bridged, train: Questions, validation: Questions
    ) -> None:
        self.config, self.model, self.train, self.validation = config, model, train, validation

    def loss(self, step: int) -> Tensor:
        options = self.config.options
        if isinstance(self.model, Bridged):
            self.model.cmab.bridge.opened = opened(step, options.steps, self.config.opens_by)
        batch = self.train.batch_of_step(step, options.batch_size, lesson(self.config, step), options.seed)
        return F.cross_entropy(self.model(batch), batch.answers)

    def validate(self) -> dict[str, float]:
        return score(self.model, self.validation)


def lesson(config: QuestionsConfig, step: int) -> Asking:
    """What is asked in this step."""
    shapes, one = (share * config.options.steps for share in config.lessons)
    if step < shapes:
        return Asking(config.asked, 0, OF_ONE[:1])
    return Asking(config.asked, 0) if step < one else Asking(config.asked - config.relational, config.relational)


def score(model: Callable[[Batch], Tensor], questions: Questions) -> dict[str, float]:
    """Shares of right answers to both kinds of questions, and their mean."""
    right = []
    for begin in range(0, len(questions), 50):
        pictures = list(range(begin, min(begin + 50, len(questions))))
        rows = [np.arange(one * questions.each, (one + 1) * questions.each) for one in pictures]
        batch = questions.batch(pictures, rows)
        right.append(model(batch).argmax(-1) == batch.answers)
    found = torch.cat(right).float()
    relational = float(found[questions.is_relational].mean())
    non_relational = float(found[~questions.is_relational].mean())
    return {"score": (relational + non_relational) / 2, "relational": relational, "non_relational": non_relational}


def train(config: QuestionsConfig, folder: Path, say: Say, stop_at: int = 0) -> dict[str, Any]:
    """From the beginning, or on from the folder's checkpoint; the figures. Raises ValueError."""
    if config.network not in NETWORKS:
        raise ValueError(f"network is one of {', '.join(NETWORKS)}, not {config.network}")
    torch.manual_seed(config.options.seed)
    tokenizer = tokenizer_of()
    model = model_of(config, tokenizer)
    counts = (config.train_pictures, config.held_back_pictures, config.held_back_pictures)
    parts = [Questions(sort_of_clevr.load(count, seed), tokenizer) for seed, count in enumerate(counts)]
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        "training": asdict(config), "model": asdict(model.config), "labels": list(ANSWERS),
        "data": {"name": "sort_of_clevr", "source": sort_of_clevr.SOURCE, "licence": sort_of_clevr.LICENCE},
    }  # fmt: skip
    describe(folder, written, tokenizer)
    state = fit(Answering(config, model, parts[0], parts[1]), config.options, folder, say, stop_at)
    if state.step == stop_at:
        return {}
    model.eval()
    with torch.inference_mode():
        figures = _figures(config, state, score(model, parts[2]), model)
    (folder / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def tokenizer_of() -> Tokenizer:
    return vocabulary.words(sorted({word for one in QUESTIONS for word in one.text.split()}))


def model_of(config: QuestionsConfig, tokenizer: Tokenizer) -> Plain | Bridged:
    fields = {**config.model, "picture": ResNetConfig(**config.model["picture"])} if "picture" in config.model else {
        **config.model
    }  # fmt: skip
    sizes = {"vocab_size": tokenizer.get_vocab_size(), "answers": len(ANSWERS), "is_shared": config.is_shared}
    made = V2Config(**sizes, **fields)
    return Bridged(made) if config.network == "bridge" else Plain(made)


def _figures(config: QuestionsConfig, state: State, test: dict[str, float], model: nn.Module) -> dict[str, Any]:
    return {
        "accuracy": test["score"], "test": test, "best": state.best, "evaluations": state.evaluations,
        "losses": [round(loss, 4) for loss in state.losses], "steps": state.step, "seconds": round(state.seconds, 1),
        "answers": dict.fromkeys(("relational", "non_relational"), config.held_back_pictures * 10),
        "parameters": parameters_of(model), "network": config.network, "is_shared": config.is_shared,
        "threads": torch.get_num_threads(), "torch": torch.__version__, "bf16": is_bf16(config.options),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(run("Trains a model that answers questions on pictures.", "v2.sort_of_clevr", train))
