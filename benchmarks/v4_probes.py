"""What V4 learns without labels is worth: engines that fail (C-MAPSS FD001), spoken digits, letters.

python -m benchmarks.v4_probes cmapss|speech|text --runs FOLDER [--train] [--only dynamic ...]

`cmapss` (v4_cmapss.json): a linear probe on V4's contexts, its threshold from ten engines at a budget of false alarms,
judged by twenty others; other engines with each seed. Beside it the same probe on the readings of a cycle, on their
running means and on the network as it was drawn, and an alarm never. `speech` (v4_speech.json): linear probes on V4, on
the same network as it was drawn, and the same network trained with labels: all of them, a tenth, a fiftieth, and
speakers that nothing has heard. `text` (v4_text.json): bits a letter of a language model with features of V4, with
those of the network as it was drawn, with none. Ablations: horizons fixed at 1, at 10, all alike; without the running
mean; without excluding the period.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.environment import environment
from benchmarks.trainings import SEEDS, Trainings
from workers.data import fsdd
from workers.data.corpus import DataMissing
from workers.recipes import v4 as recipes
from workers.training import spoken
from workers.zoo.v4_dc_cpc import DCCPC, V4Config

_ABLATIONS = {
    "first": ("weights=first",), "last": ("weights=last",), "uniform": ("weights=uniform",),
    "no_baseline": ("has_baseline=false",), "no_exclusion": ("excludes_period=false",),
}  # fmt: skip
PUBLISHED = {
    "cmapss": {
        "source": "umbertogriffo/Predictive-Maintenance-using-LSTM: last cycles of the test engines, failure within 30",
        "LSTM": {"accuracy": 0.97, "precision": 0.92, "recall": 1.0},
    },
    "speech": {"source": "a public CNN on three speakers", "accuracy": 0.97},
}

Found = dict[str, Any]
_RIVALS = {"readings": "last", "smoothed": "smoothed", "untrained": "untrained"}  # name to that of a run's figures
_LABELS = ("labels_100", "labels_10", "labels_2")  # per cent


def _with_ablations(recipe: str) -> dict[str, tuple[str, ...]]:
    return {"dynamic": (recipe,), **{name: (recipe, *changes) for name, changes in _ABLATIONS.items()}}


@dataclass(frozen=True, slots=True)
class Part:
    """One table."""

    file: str
    trainings: tuple[Trainings, ...]  # of one folder of runs; names differ
    details: Callable[[Found], Found]
    summary: Callable[[Found], Found]


def cmapss(runs: Found) -> Found:
    """Mean, lowest and highest over the seeds, at the budget of 1, 2 and 3 per cent."""
    found: Found = {}
    for contender in _with_ablations(""):
        if metrics := _of(runs, contender):
            rows = {"v4": [one["test"]["v4"] for one in metrics]}
            if contender == "dynamic":
                rows |= {name: [one["test"][of] for one in metrics] for name, of in _RIVALS.items()}
            found |= {(contender if name == "v4" else name): _budgets(some) for name, some in rows.items()}
    return found


def _budgets(rows: list[Found]) -> Found:
    found: Found = {}
    for budget in ("budget_1", "budget_2", "budget_3", "at_even_odds"):
        names = ("accuracy", "false_alarm_rate", "recall", "precision")
        found[budget] = {name: _spread([row[budget][name] for row in rows]) for name in names}
        if "last_cycle" in rows[0][budget]:
            found[budget]["last_cycle"] = {
                name: _spread([row[budget]["last_cycle"][name] for row in rows]) for name in names
            }
    found["never"] = _spread([row["never"]["accuracy"] for row in rows])
    return found


def cmapss_summary(found: Found) -> Found:
    """At the largest budget whose measured rate of false alarms is at most 3 per cent in the mean."""
    if "dynamic" not in found:
        return {}
    budgets = [found["dynamic"][f"budget_{budget}"] for budget in (3, 2, 1)]
    kept = next((one for one in budgets if one["false_alarm_rate"]["mean"] <= 0.03), budgets[-1])
    return {name: kept[name]["mean"] for name in ("accuracy", "false_alarm_rate", "recall")}


def speech(runs: Found) -> Found:
    found: Found = {}
    for contender in ("dynamic", *_ABLATIONS, "speakers"):
        if metrics := _of(runs, contender):
            found[contender] = {name: _spread([one["test"][name] for one in metrics]) for name in _LABELS}
    for contender in ("supervised", "supervised_few", "supervised_fewest", "supervised_speakers"):
        if metrics := _of(runs, contender):
            found[contender] = {"accuracy": _spread([one["accuracy"] for one in metrics])}
    try:
        return found | {"untrained": _untrained("official"), "untrained_speakers": _untrained("speakers")}
    except DataMissing as error:
        print(error, file=sys.stderr)
        return found


def _untrained(split: str) -> Found:
    """The network as it was drawn: what a probe makes of it is what the architecture gives away."""
    rows, heard = [], spoken.load(split)
    for seed in SEEDS:
        torch.manual_seed(seed)
        model = DCCPC(V4Config(fsdd.BANDS, **recipes.fsdd().model)).eval()
        rows.append(spoken.probed(model, heard, seed))
    return {name: _spread([row[name] for row in rows]) for name in _LABELS}


def speech_summary(found: Found) -> Found:
    """Errors as a share of those of the network that was trained with labels."""
    result = {}
    for name, (ours, share), theirs in (
        ("probe_error_ratio_to_supervised", ("dynamic", "labels_100"), "supervised"),
        ("few_labels_error_ratio", ("dynamic", "labels_10"), "supervised_few"),
        ("fewest_labels_error_ratio", ("dynamic", "labels_2"), "supervised_fewest"),
        ("new_speakers_error_ratio", ("speakers", "labels_100"), "supervised_speakers"),
    ):
        if ours in found and theirs in found:
            errors = 1 - found[ours][share]["mean"], 1 - found[theirs]["accuracy"]["mean"]
            result[name] = round(errors[0] / max(errors[1], 1e-4), 3)
    return result


def text(runs: Found) -> Found:
    return {
        name: {"bits": _spread([one["bits"] for one in metrics])}
        for name in ("cpc", "untrained", "none") if (metrics := _of(runs, name))
    }  # fmt: skip


def text_summary(found: Found) -> Found:
    return {f"bits_{name}": entry["bits"]["mean"] for name, entry in found.items()}


PARTS = {
    "cmapss": Part("v4_cmapss.json", (Trainings("workers.training.cpc", _with_ablations("v4.cmapss")),), cmapss,
                   cmapss_summary),
    "speech": Part(
        "v4_speech.json",
        (
            Trainings("workers.training.cpc",
                      {**_with_ablations("v4.fsdd"), "speakers": ("v4.fsdd", "data=fsdd_speakers")}),
            Trainings("workers.training.spoken", {
                "supervised": ("v4.fsdd_supervised",), "supervised_few": ("v4.fsdd_supervised", "share=0.1"),
                "supervised_fewest": ("v4.fsdd_supervised", "share=0.02"),
                "supervised_speakers": ("v4.fsdd_supervised", "split=speakers"),
            }),
        ),
        speech, speech_summary,
    ),
    "text": Part(
        "v4_text.json",
        (Trainings("workers.training.characters", {
            name: ("v4.characters", f"features={name}") for name in ("cpc", "untrained", "none")
        }),),
        text, text_summary,
    ),
}  # fmt: skip


def _of(runs: Found, contender: str) -> list[Found]:
    return [runs[name] for seed in SEEDS if (name := f"{contender}-{seed}") in runs]


def _spread(values: list[float]) -> Found:
    return {"mean": round(statistics.mean(values), 4), "least": min(values), "most": max(values), "seeds": len(values)}


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        print(f"usage: python -m benchmarks.v4_probes {'|'.join(PARTS)} --runs FOLDER [--train]", file=sys.stderr)
        return 2
    name = sys.argv.pop(1)
    part = PARTS[name]
    contenders = {one: asked for each in part.trainings for one, asked in each.contenders.items()}
    parser = Trainings("", contenders).parser(f"V4: {name}.", part.file)
    arguments = parser.parse_args()
    runs: Found = {}
    for each in part.trainings:
        asked = _some(arguments, each)
        runs |= each.gather(asked)[1]
    found = part.details(runs)
    content = {
        "summary": part.summary(found), "details": found, "published": PUBLISHED.get(name, {}),
        "command": f"python -m benchmarks.v4_probes {name} --runs FOLDER --train",
        "environment": environment(("torch", "numpy")),
    }  # fmt: skip
    Trainings("", contenders).write(arguments, runs, content)
    return 0


def _some(arguments: argparse.Namespace, trainings: Trainings) -> argparse.Namespace:
    """The same with those of `only` that these trainings have."""
    only = [one for one in arguments.only if one in trainings.contenders]
    return argparse.Namespace(**{**vars(arguments), "only": only, "train": arguments.train and bool(only)})


if __name__ == "__main__":
    sys.exit(main())
