"""How long it takes to be as good as fine-tuning: V5 on a frozen base, prototypes, and fine-tuning of the whole base.

python -m benchmarks.v5_speed --runs FOLDER [--train] [--only topics emoji] [--tuned 60]

`text` are the tasks of unseen news topics, `image` those of 20 unseen emoji (benchmarks/v5_tasks.py). What fine-tuning
converges to on a task is its accuracy over the last quarter of its steps; counted is the time to the first look at
which a contender has 99 % of that. A task on which it never has counts as endless, so a median is endless when half of
the tasks are (null). Because a task has few queries, `on_average` has the same of the accuracies' mean over all tasks.

V5's time is that of adapting in torch, reading the examples included: without gradients, or with a gradient step where
that is not enough. `onnx_seconds` is the first of these by the graphs that are served. Fine-tuning with a head as torch
draws it is what the ratio is of; begun at the prototypes it is sooner there, and stands beside.

All on one thread, in seconds of the processor. Break-even is how many tasks it takes until meta-training has paid.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch

from benchmarks.environment import environment
from benchmarks.fine_tuning import (
    HEADS,
    Curve,
    Lesson,
    Point,
    Stopwatch,
    accuracy,
    converged,
    over_tasks,
    reached,
)
from benchmarks.v5_tasks import KINDS, TRAININGS, Bench, bench, fine_tuned, tune
from workers.export.few_shot import GRAPH, MODULATE, input_names, write_graphs
from workers.training import meta
from workers.training.learners import Prototypes, RankSpace
from workers.zoo.v5_meta_lora import Classifying

FAMILIES = {"text": "news", "image": "emoji_20w"}
SHARE = 0.99
MAIN = HEADS[0]


def learned(learner: RankSpace | Prototypes, lesson: Lesson, steps: Iterable[int]) -> Curve:
    """A point for each number of gradient steps; each begins anew."""
    found = []
    for count in steps:
        watch = Stopwatch()
        with torch.no_grad():
            with watch:
                adapted: Any = learner.adapt(lesson.x, lesson.y, count)
            right = accuracy(learner.predict(adapted, lesson.queries), lesson.wanted)
        found.append(Point(count, watch.seconds, watch.wall, right))
    return found


def of_learner(learner: RankSpace | Prototypes, of: Bench, name: str, tasks: int, steps: Iterable[int]) -> list[Curve]:
    """The first task is learned once more, before anything is counted."""
    each = list(islice(of.test(KINDS[name].test), tasks))
    for lesson in each[:1]:
        learned(learner, lesson, steps)
    return [learned(learner, lesson, steps) for lesson in each]


def trained(folder: Path, config: meta.MetaConfig) -> RankSpace:
    """The learner of a run, with its best weights."""
    learner = meta.learner_of(config, 0)
    assert isinstance(learner, RankSpace)
    learner.load_state_dict(torch.load(folder / "best.pt", weights_only=True))
    return learner.eval()


def onnx_seconds(model: Classifying, lessons: list[Lesson]) -> float:
    """Median of adapting by the graphs: the examples as the base reads them, strengths, the examples with these."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        write_graphs(model, Path(folder))
        base, modulate = (
            ort.InferenceSession(str(Path(folder) / name), options, providers=["CPUExecutionProvider"])
            for name in (GRAPH, MODULATE)
        )
    first, second = input_names(model.base)  # type: ignore[arg-type]
    none, taken = np.zeros(model.base.ranks, np.float32), []
    for lesson in lessons:
        x, y, watch = lesson.x.numpy(), lesson.y.numpy(), Stopwatch()
        with watch:
            (features,) = base.run(None, {first: x, second: np.tile(none, (len(x), 1))})
            (strengths,) = modulate.run(None, {"features": features, "targets": y})
            (features,) = base.run(None, {first: x, second: np.tile(strengths, (len(x), 1))})
            _ = y.T @ features / y.sum(0)[:, None]
        taken.append(watch.seconds)
    return statistics.median(taken)


def times(curves: list[Curve], wanted: list[float]) -> dict[str, Any]:
    """Of one contender, to SHARE of what is wanted on each task."""
    points = [reached(curve, SHARE * value) for curve, value in zip(curves, wanted, strict=True)]
    average = reached(over_tasks(curves), SHARE * statistics.mean(wanted))
    return {
        "tasks": len(curves), "accuracy": round(100 * statistics.mean(curve[-1].accuracy for curve in curves), 2),
        "seconds": _median([point.seconds if point else np.inf for point in points]),
        "wall": _median([point.wall if point else np.inf for point in points]),
        "never": round(sum(point is None for point in points) / len(points), 3),
        "on_average": {"seconds": round(average.seconds, 4), "step": average.step} if average else None,
    }  # fmt: skip


def _median(seconds: list[float]) -> float | None:
    found = statistics.median(seconds)
    return round(found, 4) if np.isfinite(found) else None


def compared(tuned: dict[str, list[Curve]], others: dict[str, list[Curve]], training: list[float]) -> dict[str, Any]:
    """Of one family. `others` are V5's seeds (`meta_lora_0`) and `prototypes`, on the first of the same tasks;
    `training` the seconds of each seed."""
    wanted = [converged(curve) for curve in tuned[MAIN]]
    found: dict[str, Any] = {"converged": round(100 * statistics.mean(wanted), 2)}
    for head, curves in tuned.items():
        found[f"fine_tuning_{head}"] = times(curves, wanted)
    for name, curves in others.items():
        found[name] = times(curves, wanted)
    seeds = [found[name] for name in others if name.startswith("meta_lora_")]
    if seeds:
        found["meta_lora"] = _over_seeds(seeds, found[f"fine_tuning_{MAIN}"], training)
    return found


def _over_seeds(seeds: list[dict[str, Any]], tuned: dict[str, Any], training: list[float]) -> dict[str, Any]:
    seconds = _median([one["seconds"] if one["seconds"] is not None else np.inf for one in seeds])
    averages = [one["on_average"]["seconds"] for one in seeds if one["on_average"]]
    average = statistics.median(averages) if len(averages) == len(seeds) else None
    theirs = tuned["on_average"]["seconds"] if tuned["on_average"] else None
    gained = tuned["seconds"] - seconds if seconds is not None and tuned["seconds"] is not None else 0.0
    return {
        "seconds": seconds, "never": round(statistics.mean(one["never"] for one in seeds), 3),
        "accuracy": round(statistics.mean(one["accuracy"] for one in seeds), 2),
        "ratio": _ratio(tuned["seconds"], seconds), "ratio_on_average": _ratio(theirs, average),
        "training_seconds": round(statistics.median(training), 1),
        "break_even_tasks": int(np.ceil(statistics.median(training) / gained)) if gained > 0 else None,
    }  # fmt: skip


def _ratio(slow: float | None, fast: float | None) -> float | None:
    return round(slow / fast, 2) if slow is not None and fast else None


def summary(found: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """Only what was measured; null where V5 never is as good on half of the tasks."""
    result: dict[str, float | None] = {}
    for family, entry in found.items():
        result[f"seconds_finetuning_{family}"] = entry[f"fine_tuning_{MAIN}"]["seconds"]
        if "meta_lora" in entry:
            ours = entry["meta_lora"]
            result |= {
                f"time_ratio_to_finetuning_{family}": ours["ratio"], f"seconds_{family}": ours["seconds"],
                f"time_ratio_to_finetuning_{family}_on_average": ours["ratio_on_average"],
                f"never_{family}": ours["never"], f"break_even_tasks_{family}": ours["break_even_tasks"],
            }  # fmt: skip
        tuned, simple = entry[f"fine_tuning_{MAIN}"]["seconds"], entry["prototypes"]["seconds"]
        result[f"prototypes_time_ratio_to_finetuning_{family}"] = _ratio(tuned, simple)
        result[f"prototypes_never_{family}"] = entry["prototypes"]["never"]
    return result


def measured(family: str, runs: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    name = FAMILIES[family]
    contender = KINDS[name].contender
    of, tuned = bench(contender), {}
    for head in HEADS:
        kept = fine_tuned(arguments.runs, contender, head)
        tune(kept, name, of, arguments.tuned)
        tuned[head] = kept.curves(name)[: arguments.tuned]
    others = {"prototypes": of_learner(Prototypes(of.base), of, name, arguments.tuned, (0,))}
    training, onnx = [], {}
    for seed, run in TRAININGS.of(runs, contender).items():
        if not (folder := arguments.runs / f"{contender}-{seed}").exists():
            continue  # its figures were kept, its weights were not
        learner = trained(folder, of.config)
        others[f"meta_lora_{seed}"] = of_learner(
            learner, of, name, arguments.tuned, sorted({0, of.config.steps_judged})
        )
        training.append(run["seconds"])
        if not onnx:
            some = list(islice(of.test(KINDS[name].test), min(20, arguments.tuned)))
            assert isinstance(learner.model, Classifying)
            onnx["onnx_seconds"] = round(onnx_seconds(learner.model.eval(), some), 4)
    return {**compared(tuned, others, training), **onnx}


def main() -> int:
    parser = TRAININGS.parser("Time to be as good as fine-tuning.", "v5_speed.json")
    parser.add_argument("--tuned", type=int, default=60, help="tasks of each family: two fine-tunings each")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    before, runs = TRAININGS.gather(arguments)
    found = before.get("details", {})
    for family, name in FAMILIES.items():
        if KINDS[name].contender in arguments.only:
            found[family] = measured(family, runs, arguments)
    content = {
        "summary": summary(found), "details": found, "share": SHARE, "threads": 1,
        "command": "python -m benchmarks.v5_speed --runs FOLDER --train",
        "environment": environment(("torch", "onnxruntime")),
    }  # fmt: skip
    TRAININGS.write(arguments, runs, content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
