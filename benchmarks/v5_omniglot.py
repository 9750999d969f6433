"""Letters of alphabets that nobody has seen, from one drawing each: V5, MAML, ANIL, prototypes, fine-tuning, pixels.

python -m benchmarks.v5_omniglot --runs FOLDER [--train] [--only meta_lora maml ...]

Trained on small1, judged on what small2 has beside it (Japanese, Sanskrit, Tagalog: its Greek and Latin are the very
drawings of small1). 5 ways and 20, one drawing a class; `between` takes the letters of a task from all alphabets,
`within` from one. The same 600 tasks for every contender and seed, so 95 % intervals are over tasks and do not shrink
with the seeds. The ablations are of 5 ways. `pixels` is the nearest drawing, pixel by pixel.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch
from torch import Tensor

from benchmarks.environment import environment
from benchmarks.trainings import Trainings
from workers.recipes import v5
from workers.training import meta
from workers.training.learners import Learner

_LEARNERS = {
    "meta_lora": (), "maml": ("learner=maml",), "maml_first": ("learner=maml", "is_second_order=false"),
    "anil": ("learner=anil",), "prototypes": ("learner=prototypes",),
    "fine_tuning": ("learner=fine_tuning", "steps_inside_test=50", "rate=0.05"),
}  # fmt: skip
_ABLATIONS = {
    "no_embedding": ("has_embedding=false",), "no_modulation": ("is_modulated=false",),
    "first_order": ("is_second_order=false",), "no_gradients": ("steps_inside=0",),
    "rank_2": ("rank=2",), "rank_32": ("rank=32",),
}  # fmt: skip
_RECIPES = {"5w1s": "v5.omniglot", "20w1s": "v5.omniglot_20"}
TRAININGS = Trainings(
    "workers.training.meta",
    {f"{name}_{size}": (recipe, *changes) for size, recipe in _RECIPES.items() for name, changes in _LEARNERS.items()}
    | {f"{name}_5w1s": (_RECIPES["5w1s"], *changes) for name, changes in _ABLATIONS.items()},
)
PUBLISHED = {
    "source": "Finn et al. 2017, arXiv:1703.03400, trained on 1,200 letters and judged between alphabets",
    "MAML": {"5w1s": 0.987, "20w1s": 0.958},
}


def pixels(config: meta.MetaConfig) -> dict[str, dict[str, float]]:
    """The nearest drawing, on the tasks of every contender; nothing is trained."""
    found = {}
    for name, episodes in meta.load(config).tests.items():
        found[name] = meta.interval(meta.judged(_Pixels(), episodes, config, config.test_tasks, 0, meta.TEST_SEED))
    return found


class _Pixels(Learner):
    """As a learner that keeps the examples."""

    def adapt(self, x: Tensor, y: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        return x.flatten(1), y

    def predict(self, adapted: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
        """[Q, K]: the negative squared distance to the nearest of each class."""
        known, y = adapted
        away = (x.flatten(1)[:, None] - known).square().sum(-1)  # (Q, N)
        return -torch.where(y.T > 0, away[:, None], torch.inf).amin(-1)


def by_contender(runs: dict[str, Any]) -> dict[str, Any]:
    """Accuracy in per cent, mean over the seeds that are there."""
    found: dict[str, Any] = {}
    for contender in TRAININGS.contenders:
        if entries := list(TRAININGS.of(runs, contender).values()):
            found[contender] = {
                "seeds": len(entries), "parameters": entries[0]["parameters"],
                "minutes": [round(one["seconds"] / 60, 1) for one in entries],
                **{name: _mean([one["test"][name] for one in entries]) for name in entries[0]["test"]},
            }  # fmt: skip
            if "without_gradients" in entries[0]:
                found[contender]["without_gradients"] = {
                    name: _mean([one["without_gradients"][name] for one in entries]) for name in entries[0]["test"]
                }
    return found


def _mean(entries: list[dict[str, float]]) -> dict[str, Any]:
    """The tasks are the same for each seed: the interval of the mean does not shrink with the seeds."""
    each = [100 * one["mean"] for one in entries]
    return {
        "mean": round(statistics.mean(each), 2), "by_seed": [round(one, 2) for one in each],
        "interval": round(100 * statistics.mean(one["interval"] for one in entries), 2),
        "tasks": entries[0]["tasks"],
    }  # fmt: skip


def summary(found: dict[str, Any], nearest: dict[str, Any]) -> dict[str, float]:
    """Between alphabets, and within for 20 ways. Only what was measured."""
    result = {}
    for size in _RECIPES:
        if f"meta_lora_{size}" in found:
            result[f"acc_{size}"] = found[f"meta_lora_{size}"]["between"]["mean"]
        others = [found[f"{name}_{size}"]["between"]["mean"] for name in _LEARNERS
                  if name != "meta_lora" and f"{name}_{size}" in found]  # fmt: skip
        if others:
            result[f"best_baseline_{size}"] = max(*others, round(100 * nearest[size]["between"]["mean"], 2))
    if "meta_lora_20w1s" in found:
        result["acc_20w1s_within"] = found["meta_lora_20w1s"]["within"]["mean"]
    return result


def main() -> int:
    arguments = TRAININGS.parser("Letters from one drawing each.", "v5_omniglot.json").parse_args()
    _, runs = TRAININGS.gather(arguments)
    nearest = {"5w1s": pixels(v5.omniglot()), "20w1s": pixels(v5.omniglot_20())}
    found = by_contender(runs)
    content = {
        "summary": summary(found, nearest), "details": {"contenders": found, "pixels": nearest},
        "published": PUBLISHED, "command": "python -m benchmarks.v5_omniglot --runs FOLDER --train",
        "environment": environment(("torch",)),
    }  # fmt: skip
    TRAININGS.write(arguments, runs, content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
