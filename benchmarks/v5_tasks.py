"""News topics, sentiments and emoji that no training has seen, from a few examples: V5 on frozen bases and its rivals.

python -m benchmarks.v5_tasks --runs FOLDER [--train] [--only topics emoji] [--tuned 60]

- `news`: Business against Sci/Tech, 5 examples each; `reviews`: IMDb, negative against positive, 5 each. V5 was trained
  on World against Sports and on the sentences of SST-2: topics are unseen, of the reviews the corpus and its length,
  not what a sentiment is. Texts are their first 48 tokens.
- `emoji_5w`, `emoji_20w`: concepts that no training sees, one drawing each, asked by the drawing of another vendor. A
  concept has one drawing of each of two vendors, so there is no fifth example.

600 tasks of each, the same for all but fine-tuning, which gets the first of them (`tasks` says how many) and whose
interval is wider for that. Of V5, `meta_lora` takes a gradient step on the examples, `without_gradients` is what its
graphs do. Prototypes and logistic regression read the base as it came. What is chosen, the C of logistic regression and
fine-tuning's rate, is chosen on tasks of the validation.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from benchmarks.environment import environment
from benchmarks.fine_tuning import Kept, Lesson, Rates, accuracy, converged, lessons
from benchmarks.trainings import Trainings
from workers.recipes import v5
from workers.training import meta
from workers.zoo.v5_meta_lora import SHARP, Base, nearest, prototypes

TRAININGS = Trainings("workers.training.meta", {"topics": ("v5.topics",), "emoji": ("v5.emoji",)})
RECIPES = {"topics": v5.topics, "emoji": v5.emoji}
RATES: dict[str, Rates] = {"topics": (1e-5, 3e-5, 1e-4), "emoji": (1e-4, 3e-4, 1e-3)}


@dataclass(frozen=True, slots=True)
class Kind:
    """Of tasks: whose training they belong to, and what its figures call them."""

    contender: str
    test: str


KINDS = {
    "news": Kind("topics", "news"), "reviews": Kind("topics", "reviews"),
    "emoji_5w": Kind("emoji", "unseen_5"), "emoji_20w": Kind("emoji", "unseen_20"),
}  # fmt: skip
_STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)  # C, of features of length 1
_CHOSEN_ON = 60  # tasks of the validation
_V5 = {"meta_lora": "test", "without_gradients": "without_gradients"}
_RIVALS = ("prototypes", "logistic", "fine_tuning")


@dataclass(frozen=True, slots=True)
class Bench:
    """A frozen base without adapters, and tasks for it."""

    config: meta.MetaConfig
    base: Base
    parts: meta.Parts

    def validation(self) -> Iterator[Lesson]:
        return lessons(meta.drawn(self.parts.validation, self.config.validation_tasks, meta.VALIDATION_SEED))

    def test(self, name: str) -> Iterator[Lesson]:
        return lessons(meta.drawn(self.parts.tests[name], self.config.test_tasks, meta.TEST_SEED))


def bench(contender: str) -> Bench:
    """Raises DataMissing."""
    config = RECIPES[contender]()
    return Bench(config, meta.base_of(config).eval(), meta.load(config))


def fine_tuned(runs: Path, contender: str, head: str) -> Kept:
    """What there is of it in the folder of runs."""
    return Kept(runs / "fine_tuning" / f"{contender}-{head}.json", head, RATES[contender])


def tune(kept: Kept, name: str, of: Bench, tasks: int) -> None:
    """What is missing of so many tasks of a kind."""
    kept.try_rates(of.base, of.validation)
    kept.go_on(of.base, name, of.test(KINDS[name].test), tasks)


@torch.no_grad()
def read(base: Base, some: Iterator[Lesson]) -> Iterator[Lesson]:
    """Features instead of examples and queries."""
    for lesson in some:
        seen = base(torch.cat([lesson.x, lesson.queries]))
        yield lesson._replace(x=seen[: len(lesson.x)], queries=seen[len(lesson.x) :])


def by_prototypes(lesson: Lesson) -> float:
    head = nearest(prototypes(lesson.x, lesson.y), torch.tensor(SHARP / lesson.x.shape[-1]))
    return accuracy(head(lesson.queries), lesson.wanted)


def by_regression(lesson: Lesson, strength: float) -> float:
    found = LogisticRegression(C=strength, max_iter=2000).fit(_unit(lesson.x), lesson.y.argmax(-1).numpy())
    return float((found.predict(_unit(lesson.queries)) == lesson.wanted.argmax(-1).numpy()).mean())


def _unit(features: Tensor) -> Any:
    return torch.nn.functional.normalize(features, dim=-1).numpy()


def frozen(of: Bench, test: str) -> dict[str, Any]:
    """What needs the features of the frozen base alone."""
    known = [lesson for _, lesson in zip(range(_CHOSEN_ON), read(of.base, of.validation()), strict=False)]
    strength = max(_STRENGTHS, key=lambda one: statistics.mean(by_regression(lesson, one) for lesson in known))
    each = [(by_prototypes(lesson), by_regression(lesson, strength)) for lesson in read(of.base, of.test(test))]
    centres, regression = zip(*each, strict=True)
    return {"prototypes": in_percent(centres), "logistic": {**in_percent(regression), "C": strength}}


def in_percent(each: tuple[float, ...] | list[float]) -> dict[str, float]:
    found = meta.interval(torch.tensor(each))
    return {"mean": round(100 * found["mean"], 2), "interval": round(100 * found["interval"], 2),
            "tasks": len(each)}  # fmt: skip


def of_runs(runs: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """V5's figures, mean over the seeds. The tasks are the same for each, so the interval does not shrink with them."""
    entries = list(TRAININGS.of(runs, kind.contender).values())
    found: dict[str, Any] = {}
    for name, part in _V5.items():
        if some := [one[part][kind.test] for one in entries]:
            each = [100 * one["mean"] for one in some]
            found[name] = {
                "mean": round(statistics.mean(each), 2), "by_seed": [round(one, 2) for one in each],
                "interval": round(100 * statistics.mean(one["interval"] for one in some), 2),
                "tasks": some[0]["tasks"],
            }  # fmt: skip
    return found


def of_curves(kept: Kept, name: str) -> dict[str, Any]:
    curves = kept.curves(name)
    if not curves:
        return {}
    return {**in_percent([converged(curve) for curve in curves]), "rate": kept.rate, "tried": kept.content["tried"]}


def summary(found: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Per cent. Only what was measured."""
    result = {}
    for name, by_contender in found.items():
        if "meta_lora" in by_contender:
            result[f"acc_{name}"] = by_contender["meta_lora"]["mean"]
            result[f"acc_{name}_without_gradients"] = by_contender["without_gradients"]["mean"]
        others = {rival: by_contender[rival]["mean"] for rival in _RIVALS if by_contender.get(rival)}
        result |= {f"{rival}_{name}": value for rival, value in others.items()}
        if others:
            result[f"best_baseline_{name}"] = max(others.values())
    return result


def main() -> int:
    parser = TRAININGS.parser("Unseen topics, sentiments and emoji from a few examples.", "v5_tasks.json")
    parser.add_argument("--tuned", type=int, default=60, help="tasks that are fine-tuned, half a minute each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    before, runs = TRAININGS.gather(arguments)
    found = {name: of_runs(runs, kind) for name, kind in KINDS.items()}
    for by_name in (before.get("details", {}), *(rivals(contender, arguments) for contender in arguments.only)):
        for name, entries in by_name.items():
            found[name] |= {rival: entries[rival] for rival in _RIVALS if entries.get(rival)}
    content = {
        "summary": summary(found), "details": found, "command": "python -m benchmarks.v5_tasks --runs FOLDER --train",
        "data": {"texts": "AG News, SST-2, IMDb", "pictures": "emoji by Twitter and Google"},
        "environment": environment(("torch", "scikit-learn")),
    }  # fmt: skip
    TRAININGS.write(arguments, runs, content)
    return 0


def rivals(contender: str, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """By kind of tasks."""
    of, kept, found = bench(contender), fine_tuned(arguments.runs, contender, "prototypes"), {}
    for name in (name for name, kind in KINDS.items() if kind.contender == contender):
        if arguments.tuned:
            tune(kept, name, of, arguments.tuned)
        found[name] = {**frozen(of, KINDS[name].test), "fine_tuning": of_curves(kept, name)}
        print(name, {rival: entry.get("mean") for rival, entry in found[name].items()}, flush=True)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
