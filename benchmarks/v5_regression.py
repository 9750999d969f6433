"""Curves of 2, 3 and 5 families from five points each (Vuorio et al. 2019): V5, MAML, ANIL, fine-tuning, ablations.

python -m benchmarks.v5_regression --runs FOLDER [--train] [--only meta_lora_5 maml_5 ...]

Mean squared error on points that are as noisy as those that were learned from: 0.09 is what the noise leaves. The same
600 tasks for every contender and seed. V5's learning rates inside a task are learned; those of the others are the
authors' 0.001 with five steps, and 0.01 beside it for MAML, the better of which counts.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.environment import environment
from benchmarks.trainings import Trainings
from workers.data.curves import MODES, NOISE

_CONTENDERS = {
    "meta_lora": (), "maml": ("learner=maml", "steps_inside=5"),
    "maml_faster": ("learner=maml", "steps_inside=5", "rate=0.01"),
    "maml_first": ("learner=maml", "steps_inside=5", "is_second_order=false"),
    "anil": ("learner=anil", "steps_inside=5", "rate=0.01"),
    "fine_tuning": ("learner=fine_tuning", "steps_inside_test=100", "rate=0.01"),
    "no_embedding": ("has_embedding=false",), "no_modulation": ("is_modulated=false",),
    "first_order": ("is_second_order=false",), "no_gradients": ("steps_inside=0",),
}  # fmt: skip
TRAININGS = Trainings(
    "workers.training.meta",
    {f"{name}_{modes}": ("v5.curves", f"modes={modes}", *changes)
     for modes in MODES for name, changes in _CONTENDERS.items()},
)  # fmt: skip
PUBLISHED = {"source": "Vuorio et al. 2019, arXiv:1910.13616: curves as here; its figures were not at hand"}


def by_contender(runs: dict[str, Any]) -> dict[str, Any]:
    """Mean of squares over the seeds that are there."""
    found: dict[str, Any] = {}
    for contender in TRAININGS.contenders:
        if entries := list(TRAININGS.of(runs, contender).values()):
            each = [-one["test"]["test"]["mean"] for one in entries]
            found[contender] = {
                "seeds": len(entries), "parameters": entries[0]["parameters"],
                "minutes": [round(one["seconds"] / 60, 1) for one in entries],
                "mse": round(statistics.mean(each), 4), "by_seed": [round(one, 4) for one in each],
                "interval": round(statistics.mean(one["test"]["test"]["interval"] for one in entries), 4),
                "tasks": entries[0]["test"]["test"]["tasks"],
            }  # fmt: skip
            if "without_gradients" in entries[0]:
                rest = [-one["without_gradients"]["test"]["mean"] for one in entries]
                found[contender]["mse_without_gradients"] = round(statistics.mean(rest), 4)
    return found


def summary(found: dict[str, Any]) -> dict[str, float]:
    """Ratios below 1 say that V5 errs less. Only what was measured."""
    result = {}
    for modes in MODES:
        if f"meta_lora_{modes}" not in found:
            continue
        ours = found[f"meta_lora_{modes}"]["mse"]
        result[f"mse_{modes}"] = ours
        mamls = [found[name]["mse"] for name in (f"maml_{modes}", f"maml_faster_{modes}") if name in found]
        if mamls:
            result[f"mse_ratio_to_maml_{modes}"] = round(ours / min(mamls), 4)
        for name in ("no_embedding", "no_modulation"):
            if f"{name}_{modes}" in found:
                result[f"mse_ratio_to_{name}_{modes}"] = round(ours / found[f"{name}_{modes}"]["mse"], 4)
    return result


def main() -> int:
    arguments = TRAININGS.parser("Curves from five points each.", "v5_regression.json").parse_args()
    _, runs = TRAININGS.gather(arguments)
    found = by_contender(runs)
    content = {
        "summary": summary(found), "details": {"contenders": found, "least_mse": round(NOISE**2, 4)},
        "published": PUBLISHED, "command": "python -m benchmarks.v5_regression --runs FOLDER --train",
        "environment": environment(("torch",)),
    }  # fmt: skip
    TRAININGS.write(arguments, runs, content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
