"""A mixture of experts and the dense model of as many active parameters on the same bytes (v3_quality.json).

python -m benchmarks.v3_language --runs FOLDER [--train] [--only moe ...]

Bits a character of the test part of tinyshakespeare after equal steps on equal batches, and how unevenly experts are
picked there, with biases that even the load out and without.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

from benchmarks.environment import environment
from benchmarks.trainings import Trainings

TRAININGS = Trainings("workers.training.moe", {
    "moe": ("v3.shakespeare",), "dense": ("v3.shakespeare_dense",), "unbalanced": ("v3.shakespeare_unbalanced",),
})  # fmt: skip
_FIGURES = ("bits", "load_cv", "load_max", "seconds")


def details(runs: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for contender in TRAININGS.contenders:
        if rows := list(TRAININGS.of(runs, contender).values()):
            sizes = {name: rows[0][name] for name in ("parameters", "parameters_active", "bytes")}
            spreads = {name: _spread([row[name] for row in rows]) for name in _FIGURES if name in rows[0]}
            found[contender] = sizes | spreads
    return found


def summary(found: dict[str, Any]) -> dict[str, Any]:
    wanted = {
        "moe_bpc": ("moe", "bits"), "dense_bpc": ("dense", "bits"), "unbalanced_bpc": ("unbalanced", "bits"),
        "load_cv": ("moe", "load_cv"), "load_cv_unbalanced": ("unbalanced", "load_cv"),
    }  # fmt: skip
    return {name: found[one][figure]["mean"] for name, (one, figure) in wanted.items() if one in found}


def _spread(values: list[float]) -> dict[str, float]:
    return {"mean": round(statistics.mean(values), 4), "least": min(values), "most": max(values), "seeds": len(values)}


def main() -> int:
    arguments = TRAININGS.parser("V3: a mixture of experts beside a dense model.", "v3_quality.json").parse_args()
    _, runs = TRAININGS.gather(arguments)
    found = details(runs)
    content = {
        "summary": summary(found), "details": found,
        "command": "python -m benchmarks.v3_language --runs FOLDER --train",
        "environment": environment(("torch", "numpy")),
    }  # fmt: skip
    TRAININGS.write(arguments, runs, content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
