"""Questions on pictures (Sort-of-CLEVR, our generator): the bridge, a network without one, and ablations.

python -m benchmarks.v2_vqa --runs FOLDER [--train] [--only bridge plain ...]

Contenders: `bridge`; `plain`, the same picture tower with an MLP over picture and question, as Santoro et al. 2017 have
it; `separate`, two affinities a depth instead of one; `at_once`, all depths open from the beginning. The same pictures,
questions and steps for each. Step times of shared and separate affinities are taken in turns in one process.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from typing import Any

import torch

from benchmarks.environment import environment
from benchmarks.trainings import Trainings
from workers.data import sort_of_clevr
from workers.recipes.v2 import sort_of_clevr as recipe
from workers.training.loop import parameters_of
from workers.training.questions import Answering, Questions, model_of, tokenizer_of

TRAININGS = Trainings(
    "workers.training.questions",
    {
        "bridge": ("v2.sort_of_clevr",),
        "plain": ("v2.sort_of_clevr", "network=plain"),
        "separate": ("v2.sort_of_clevr", "is_shared=false"),
        "at_once": ("v2.sort_of_clevr", "opens_by=0"),
    },
)
PUBLISHED = {
    "source": "a public reimplementation of Santoro et al. 2017 (arXiv:1706.01427), on a generator of its own",
    "relational_percent": {"relation network": 89, "CNN + MLP": 66},
    "non_relational_percent": {"relation network": 99, "CNN + MLP": 66},
}


def step_times(rounds: int) -> dict[str, Any]:
    """Of shared and separate affinities, forward and backward, in turns; the ratio is the median over the rounds."""
    torch.set_num_threads(1)
    config, tokenizer = recipe(), tokenizer_of()
    questions = Questions(sort_of_clevr.load(64, 0), tokenizer)
    tasks = {}
    for name, is_shared in (("shared", True), ("separate", False)):
        changed = replace(config, is_shared=is_shared, opens_by=0.0)
        tasks[name] = Answering(changed, model_of(changed, tokenizer).train(), questions, questions)
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds + 2):
        for name, task in tasks.items():
            began = time.perf_counter()
            task.loss(turn).backward()
            if turn >= 2:  # the first warm up
                times[name].append(time.perf_counter() - began)
    ratio = statistics.median(a / b for a, b in zip(times["shared"], times["separate"], strict=True))
    bridges = {name: task.model.cmab.bridge for name, task in tasks.items()}
    return {
        "ratio": round(ratio, 3), "rounds": rounds,
        "milliseconds": {name: round(1000 * statistics.median(found), 1) for name, found in times.items()},
        "parameters": {name: parameters_of(task.model) for name, task in tasks.items()},
        "bridge_parameters": {name: parameters_of(bridge) for name, bridge in bridges.items()},
    }  # fmt: skip


def by_contender(runs: dict[str, Any]) -> dict[str, Any]:
    """Per cent, mean over the seeds that are there."""
    found = {}
    for contender in TRAININGS.contenders:
        if entries := list(TRAININGS.of(runs, contender).values()):
            found[contender] = {
                "seeds": len(entries), "parameters": entries[0]["parameters"], "steps": entries[0]["steps"],
                "minutes": [round(one["seconds"] / 60, 1) for one in entries],
                **{kind: [round(100 * one["test"][kind], 2) for one in entries] for kind in _KINDS},
                **{f"{kind}_mean": round(statistics.mean(100 * one["test"][kind] for one in entries), 2)
                   for kind in _KINDS},
            }  # fmt: skip
    return found


_KINDS = ("relational", "non_relational")


def summary(found: dict[str, Any], times: dict[str, Any]) -> dict[str, float]:
    """Only what was measured."""
    result = {}
    for name, contender, kind in (
        ("relational", "bridge", "relational"), ("non_relational", "bridge", "non_relational"),
        ("baseline_relational", "plain", "relational"), ("separate_relational", "separate", "relational"),
        ("at_once_relational", "at_once", "relational"),
    ):  # fmt: skip
        if contender in found:
            result[name] = found[contender][f"{kind}_mean"]
    return result | {"sharing_step_time_ratio": times["ratio"]}


def main() -> int:
    parser = TRAININGS.parser("Questions on pictures.", "v2_vqa.json")
    parser.add_argument("--rounds", type=int, default=30, help="of step times")
    arguments = parser.parse_args()
    _, runs = TRAININGS.gather(arguments)
    found, times = by_contender(runs), step_times(arguments.rounds)
    content = {
        "summary": summary(found, times), "details": {"contenders": found, "step_times": times},
        "published": PUBLISHED, "command": "python -m benchmarks.v2_vqa --runs FOLDER --train",
        "environment": environment(("torch",)),
    }  # fmt: skip
    TRAININGS.write(arguments, runs, content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
