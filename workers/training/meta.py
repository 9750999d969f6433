"""Trains what learns a task from a few examples: V5, or one of those beside it.

python -m workers.training.meta --recipe v5.omniglot --out FOLDER [--set seed=1 learner=maml ways=20]

The folder has checkpoint.pt and best.pt, config.json and metrics.json, as that of every trainer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.func import vmap
from torch.nn import functional as F

from workers.data import curves, emoji, minilm, omniglot, towers
from workers.zoo.mobilenet import MobileNet
from workers.zoo.v5_meta_lora import (
    Base,
    Classifying,
    Numbers,
    NumbersConfig,
    Pictures,
    PicturesConfig,
    Regressing,
    V5Config,
)
from workers.zoo.v5_towers import Photos, Texts, TextsConfig

from . import lessons
from .checkpoint import describe
from .command import run
from .episodes import Episodes, Letters, Points, Tasks
from .learners import MAML, FineTuning, Learner, Network, Prototypes, RankSpace, squares, surprise
from .loop import Options, State, fit, parameters_of
from .progress import Say

DATA = ("omniglot", "curves", "topics", "emoji")
TOWERS = ("topics", "emoji")  # on frozen bases
LEARNERS = ("meta_lora", "maml", "anil", "prototypes", "fine_tuning")
VALIDATION_SEED, TEST_SEED = 7919, 104_729  # the same tasks for whatever is compared
_AT_ONCE = 20  # tasks that are judged together


@dataclass(frozen=True, slots=True)
class MetaConfig:
    """`batch_size` of the options counts tasks."""

    name: str
    data: str
    model: dict[str, Any] = field(default_factory=dict)
    """Fields of PicturesConfig for omniglot, of NumbersConfig for curves, of TextsConfig for topics; for emoji `size`,
    pixels a side."""
    pretrained: bool = True
    """Of a frozen base: with the weights of its package, which has one size of network; without, random ones."""
    learner: str = "meta_lora"
    rank: int = 8
    embedding: int = 64
    has_embedding: bool = True
    is_modulated: bool = True
    is_second_order: bool = True
    steps_inside: int = 1
    """Gradient steps on a task's examples; 0 adapts without gradients."""
    steps_inside_test: int = 0
    """The same when it is judged; 0 takes as many as in training."""
    rate: float = 0.1
    """Of these steps, where it is not learned."""
    ways: int = 5
    modes: int = 5
    """Families of curves."""
    shots: int = 1
    """Examples of a class, or of a curve."""
    queries: int = 5
    """The same of those to be judged by."""
    is_varied: bool = True
    """Letters are drawn a little differently each time they are trained on."""
    validation_tasks: int = 200
    test_tasks: int = 600
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        for name, value, known in (("data", self.data, DATA), ("learner", self.learner, LEARNERS)):
            if value not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, not {value}")
        if self.learner == "prototypes" and not self.is_classifying:
            raise ValueError("prototypes are of classes: curves have none")
        if self.data in TOWERS and self.learner not in ("meta_lora", "prototypes"):
            raise ValueError(f"on a frozen base learner is meta_lora or prototypes, not {self.learner}")

    @property
    def is_classifying(self) -> bool:
        return self.data != "curves"

    @property
    def outputs(self) -> int:
        return self.ways if self.is_classifying else 1

    @property
    def steps_judged(self) -> int:
        return self.steps_inside_test or self.steps_inside


@dataclass(frozen=True, slots=True)
class Parts:
    """`classes` is how many the training has in all; `tests` by name."""

    train: Episodes
    validation: Episodes
    tests: Mapping[str, Episodes]
    classes: int
    about: dict[str, str]


def load(config: MetaConfig) -> Parts:
    """Raises DataMissing, ValueError."""
    return {"omniglot": _letters, "curves": _points, "topics": _topics, "emoji": _drawings}[config.data](config)


def _letters(config: MetaConfig) -> Parts:
    """`within` has tasks of one alphabet each, whose letters are more alike than those of all."""
    found, sizes = omniglot.load(), (config.ways, config.shots, config.queries)
    train = Letters(found.train, *sizes, is_turned=True, is_varied=config.is_varied)
    tests = {name: Letters(found.test, *sizes, is_within=name == "within") for name in ("between", "within")}
    about = {"name": "omniglot", "source": omniglot.SOURCE, "licence": omniglot.LICENCE}
    return Parts(train, Letters(found.validation, *sizes), tests, len(train.pictures), about)


def _points(config: MetaConfig) -> Parts:
    points = Points(config.modes, config.shots, config.queries)
    about = {"name": f"curves, {config.modes} modes", "source": curves.SOURCE, "licence": curves.LICENCE}
    return Parts(points, points, {"test": points}, 1, about)


_SEEN = (("agnews", ("World", "Sports")), ("sst2", ("negative", "positive")))
_UNSEEN = {"news": ("agnews", ("Business", "Sci/Tech")), "reviews": ("imdb", ("negative", "positive"))}
_WAYS = (5, 20)  # of tasks of emoji
_REVIEWS = 4000  # of each corpus that is a test: IMDb has six times as many


def _topics(config: MetaConfig) -> Parts:
    """Two topics of news and the sentiment of sentences are trained on; tests have topics that are not among these
    (`news`), and the sentiment of whole reviews, by other people (`reviews`)."""
    tokenizer, sizes = (
        Tokenizer.from_file(str(minilm.file("tokenizer.json"))),
        (config.ways, config.shots, config.queries),
    )
    train = lessons.Topics(lessons.topics(_SEEN, tokenizer, of_test=False), *sizes)
    validation = lessons.Topics(lessons.topics(_SEEN, tokenizer, of_test=True), *sizes)
    tests: dict[str, Episodes] = {
        name: lessons.Topics(lessons.topics((one,), tokenizer, of_test=True, most=_REVIEWS), *sizes)
        for name, one in _UNSEEN.items()
    }
    about = {"name": "agnews and sst2, by topic", "source": "AG News, SST-2, IMDb", "licence": "research use"}
    return Parts(train, validation, tests, train.classes, about)


def _drawings(config: MetaConfig) -> Parts:
    """Concepts that no training sees are the test; of the others every tenth is for validation, so of all
    kinds: codes begin with flags."""
    found, size = emoji.load(), config.model.get("size", 224)
    seen, unseen = ([one for one in found if one.is_unseen == wanted] for wanted in (False, True))
    rest = [one for place, one in enumerate(seen) if place % 10]
    train = lessons.Drawings(rest, config.ways, size, is_varied=config.is_varied)
    validation = lessons.Drawings(seen[::10], config.ways, size, is_varied=False)
    about = {"name": "emoji", "source": emoji.SOURCE, "licence": emoji.LICENCE}
    tests = {f"unseen_{ways}": lessons.Drawings(unseen, ways, size, is_varied=False) for ways in _WAYS}
    return Parts(train, validation, tests, train.classes, about)


class Meta:
    """The task that the loop trains: outputs on the queries after the examples were learned."""

    def __init__(self, config: MetaConfig, model: Learner, parts: Parts) -> None:
        self.config, self.model, self.parts = config, model, parts

    def loss(self, step: int) -> Tensor:
        options = self.config.options
        tasks = self.parts.train.draw(np.random.default_rng((options.seed, step)), options.batch_size)
        if isinstance(self.model, FineTuning):
            return joint_loss(self.model, tasks, self.config.is_classifying)
        outputs = answers(self.model, tasks, self.config.steps_inside)
        return _loss(self.config)(outputs.flatten(0, 1), tasks.wanted.flatten(0, 1))

    def validate(self) -> dict[str, float]:
        """`score` is accuracy, or the negative mean of squares."""
        config = self.config
        each = judged(self.model, self.parts.validation, config, config.validation_tasks, config.steps_judged,
                      VALIDATION_SEED)  # fmt: skip
        return {"score": float(each.mean())}


def answers(learner: Learner, tasks: Tasks, steps: int) -> Tensor:
    """[B, Q, K], each task adapted by itself."""

    def answer(x: Tensor, y: Tensor, queries: Tensor) -> Tensor:
        return learner.predict(learner.adapt(x, y, steps), queries)

    outputs: Tensor = vmap(answer)(tasks.x, tasks.y, tasks.queries)
    return outputs


def joint_loss(learner: FineTuning, tasks: Tasks, is_classifying: bool) -> Tensor:
    """Of all classes at once, or of all curves as if they were one."""
    outputs = learner.joint(tasks.queries.flatten(0, 1))
    if not is_classifying:
        return squares(outputs, tasks.wanted.flatten(0, 1))
    return F.cross_entropy(outputs, tasks.classes.gather(1, tasks.wanted.argmax(-1)).flatten())


def drawn(episodes: Episodes, tasks: int, seed: int) -> Iterator[Tasks]:
    """So many in all, the same for whatever is compared."""
    source = np.random.default_rng(seed)
    for begin in range(0, tasks, _AT_ONCE):
        yield episodes.draw(source, min(_AT_ONCE, tasks - begin))


def judged(learner: Learner, episodes: Episodes, config: MetaConfig, tasks: int, steps: int, seed: int) -> Tensor:
    """Of each of so many tasks the accuracy, or the negative mean of squares, [tasks]. Gradients inside a task need
    no mode of their own, but tensors that may have some."""
    found = []
    with torch.inference_mode(False), torch.no_grad():
        for some in drawn(episodes, tasks, seed):
            outputs = answers(learner, some, steps)
            if config.is_classifying:
                found.append((outputs.argmax(-1) == some.wanted.argmax(-1)).float().mean(1))
            else:
                found.append(-(outputs - some.wanted).square().flatten(1).mean(1))
    return torch.cat(found)


def interval(each: Tensor) -> dict[str, float]:
    """Mean over tasks, and how far the ends of its 95 % interval are from it."""
    width = 1.96 * each.std().item() / len(each) ** 0.5
    return {"mean": round(each.mean().item(), 5), "interval": round(width, 5), "tasks": len(each)}


def base_of(config: MetaConfig, rank: int = 0) -> Base:
    """Raises DataMissing."""
    if config.data in TOWERS:
        return _tower(config, rank)
    made = _base_config(config)
    return Pictures(made, rank) if isinstance(made, PicturesConfig) else Numbers(made, rank)


def _tower(config: MetaConfig, rank: int) -> Base:
    if config.data == "topics":
        return towers.texts(rank) if config.pretrained else Texts(TextsConfig(**config.model), rank)
    size = config.model.get("size", 224)
    return towers.photos(rank, size) if config.pretrained else Photos(MobileNet(), rank, size)


def _base_config(config: MetaConfig) -> PicturesConfig | NumbersConfig:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in config.model.items()
    }
    return PicturesConfig(**fields) if config.data == "omniglot" else NumbersConfig(**fields)


def _about(config: MetaConfig) -> dict[str, Any]:
    """What it takes to make V5 again."""
    sizes = {"rank": config.rank, "embedding": config.embedding}
    if config.data == "topics":
        return {**sizes, "texts": asdict(TextsConfig(**config.model))}
    if config.data == "emoji":
        return {**sizes, "photos": {"size": config.model.get("size", 224)}}
    kind = "pictures" if config.data == "omniglot" else "numbers"
    return {**sizes, kind: asdict(_base_config(config))}


def model_of(config: MetaConfig) -> Classifying | Regressing:
    made, base = V5Config(config.rank, config.embedding), base_of(config, config.rank)
    if isinstance(base, Numbers):
        return Regressing(made, base, 1)
    model = Classifying(made, base)
    if config.data in TOWERS:
        model.begin_at(1.0)
    return model


def learner_of(config: MetaConfig, classes: int) -> Learner:
    """Before the first step."""
    torch.manual_seed(config.options.seed)
    loss = _loss(config)
    if config.learner == "meta_lora":
        return RankSpace(
            model_of(config), loss, config.rate, is_second_order=config.is_second_order,
            has_embedding=config.has_embedding, is_modulated=config.is_modulated,
        )  # fmt: skip
    base = base_of(config)
    if config.learner == "prototypes":
        return Prototypes(base)
    if config.learner == "fine_tuning":
        return FineTuning(base, classes, loss, config.rate, is_classifying=config.is_classifying)
    adapts = "head" if config.learner == "anil" else ""
    network = Network(base, config.outputs)
    return MAML(network, loss, config.rate, is_second_order=config.is_second_order, adapts=adapts)


def _loss(config: MetaConfig) -> Any:
    return surprise if config.is_classifying else squares


def train(config: MetaConfig, folder: Path, say: Say, stop_at: int = 0) -> dict[str, Any]:
    """From the beginning, or on from the folder's checkpoint; the figures. Raises DataMissing, ValueError."""
    parts = load(config)
    learner = learner_of(config, parts.classes)
    folder.mkdir(parents=True, exist_ok=True)
    describe(folder, {"training": asdict(config), "model": _about(config), "data": parts.about})
    state = fit(Meta(config, learner, parts), config.options, folder, say, stop_at)
    if state.step == stop_at:
        return {}
    figures = _figures(config, state, learner.eval(), parts)
    (folder / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def _figures(config: MetaConfig, state: State, learner: Learner, parts: Parts) -> dict[str, Any]:
    """`test` as it was trained, `without_gradients` the same learner with no step inside."""
    steps = {"test": config.steps_judged}
    if config.learner == "meta_lora":
        steps["without_gradients"] = 0
    found = {
        kind: {name: interval(judged(learner, some, config, config.test_tasks, count, TEST_SEED))
               for name, some in parts.tests.items()}
        for kind, count in steps.items()
    }  # fmt: skip
    return {
        "accuracy": next(iter(found["test"].values()))["mean"], **found, "best": state.best,
        "evaluations": state.evaluations, "losses": [round(loss, 4) for loss in state.losses], "steps": state.step,
        "seconds": round(state.seconds, 1), "parameters": parameters_of(learner), "learner": config.learner,
        "threads": torch.get_num_threads(), "torch": torch.__version__,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(run("Trains what learns a task from a few examples.", "v5.omniglot", train))
