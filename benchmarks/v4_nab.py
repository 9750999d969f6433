"""The Numenta Anomaly Benchmark: V4 and simpler detectors by NAB's own scorer, and by figures of points and events.

python -m benchmarks.v4_nab --runs FOLDER [--train] [--only dynamic ...] [--detectors pca ...]

One set of settings for the whole corpus. Every detector learns from the first 15 per cent of a file (of 5,000 rows at
most), which NAB does not judge, and scores the rest as it comes; V4's network is trained on those beginnings of all
files, and has seen nothing else of them. The threshold is NAB's own: the best for all files together. `random` draws a
score for each row, `always` raises an alarm at each. Point adjustment is never used. Ablations of V4 are contenders of
their own.

Each detector is told twice: `raw`, as it scores, and `once`: a score counts when it is above all of the last rows, as
many as the file's beginning has, so an alarm that goes on is one alarm. NAB counts every row above the threshold that
is outside of a window, and people are called once. The summary has NAB's figures of `once`, and VUS-PR of raw scores.
That alarms are told once, and which three measures `rarity` has, was chosen with the corpus in sight; its constants
were not searched.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import environment
from benchmarks.nab_score import PROFILES, best
from benchmarks.trainings import Trainings
from workers.data import nab
from workers.data.nab import Labelled
from workers.detect.base import CannotFit
from workers.detect.fitted import SIMPLE, Fitted, sizes_of
from workers.detect.graph import Session
from workers.detect.metrics import Scores, alarmed, best_f1, vus_pr
from workers.detect.scale import scale_of
from workers.detect.v4 import V4
from workers.export import dc_cpc
from workers.export.series import scale_of_run
from workers.zoo.trained import load_dc_cpc

TRAININGS = Trainings(
    "workers.training.cpc",
    {
        "dynamic": ("v4.nab",),
        "first": ("v4.nab", "weights=first"),
        "last": ("v4.nab", "weights=last"),
        "uniform": ("v4.nab", "weights=uniform"),
        "no_baseline": ("v4.nab", "has_baseline=false"),
        "no_exclusion": ("v4.nab", "excludes_period=false"),
    },
)
PUBLISHED = {
    "source": "results/final_results.json and README of github.com/numenta/NAB",
    "standard": {"ARTime": 74.9, "HTM": 70.5, "CAD OSE": 69.9, "windowed Gaussian": 39.6, "random": 11.0},
    "low_fp": {"ARTime": 65.1, "HTM": 62.6, "CAD OSE": 67.0, "windowed Gaussian": 20.9, "random": 1.2},
}
_CHEAP = ("subsequence_pca", "isolation_forest", "spectral_residual", "matrix_profile", "seasonal", "rarity")
_PROFILES = ("standard", "low_fp")  # of the summary
_SLOPE = 100  # rows, of VUS-PR
_DAY = 86400.0
_DRAWS = 5


def simple(name: str, file: Labelled) -> Scores:
    """Raw scores of every row by one that needs no network; zeros where the beginning does not do for it."""
    values, beginning = file.values[:, None], file.values[: file.probation, None]
    scale = scale_of(beginning)
    try:
        detector = SIMPLE[name].fit(scale.apply(beginning), np.ones(len(beginning), bool), 0)
    except CannotFit:
        return np.zeros(len(values))
    return _in_unit(Fitted(detector, scale, 1.0, 0, 1), values, file.probation)


def learned(run: Path, files: list[Labelled]) -> dict[str, Scores]:
    """V4 of this run on every file, through the graph as it would be served."""
    model, _ = load_dc_cpc(run)
    folder = run / "graph"
    folder.mkdir(exist_ok=True)
    dc_cpc.write_graph(model, folder)
    sizes = sizes_of({"graph": dc_cpc.values(model, scale_of_run(run))})
    heads, graph = dict(np.load(folder / dc_cpc.HEADS)), Session(folder / dc_cpc.GRAPH)
    found = {}
    for file in files:
        values, beginning = file.values[:, None], file.values[: file.probation, None]
        scale = scale_of(beginning)
        try:
            detector = V4.fit(scale.apply(beginning), np.ones(len(beginning), bool), 0, heads, sizes, graph)
            found[file.name] = _in_unit(Fitted(detector, scale, 1.0, 0, 1), values, file.probation)
        except CannotFit:
            found[file.name] = np.zeros(len(values))
    return found


def _in_unit(fitted: Fitted, values: np.ndarray, probation: int) -> Scores:
    """1 is the 99th percentile of the beginning: what makes one threshold fit all files."""
    track = fitted.track(values)
    fitted.calibrate(track, values, np.arange(len(values)) < probation)
    return np.nan_to_num(track.scores / fitted.unit)


def once(scores: Scores, rows: int) -> Scores:
    """[T]: the scores that are above all of the `rows` before them; the others count as the lowest."""
    before = np.concatenate([np.full(rows, -np.inf), scores[:-1]])
    highest = np.lib.stride_tricks.sliding_window_view(before, rows).max(1)
    return np.where(scores > highest, scores, scores.min())


def both(files: list[Labelled], scores: dict[str, Scores]) -> dict[str, dict[str, float | None]]:
    return {
        "once": figures(files, {one.name: once(scores[one.name], max(1, one.probation)) for one in files}),
        "raw": figures(files, scores),
    }


def figures(files: list[Labelled], scores: dict[str, Scores]) -> dict[str, float | None]:
    """NAB's, and others at NAB's standard threshold; all over the rows behind the beginnings."""
    found = {name: best(files, scores, profile) for name, profile in PROFILES.items()}
    limit = np.nextafter(found["standard"].threshold, -np.inf)
    rows = [(scores[one.name][one.probation :], one.is_anomaly[one.probation :]) for one in files]
    together = alarmed(*(np.concatenate(part) for part in zip(*rows, strict=True)), limit)
    with_events = [(one, truth) for one, truth in rows if truth.any()]
    days = sum((one.times[-1] - one.times[one.probation]) / _DAY for one in files)
    begun = sum(int((np.diff((one > limit).astype(int)) == 1)[~truth[1:]].sum()) for one, truth in rows)
    events = [alarmed(one, truth, limit) for one, truth in with_events]
    delays = [one.delay for one in events if one.delay is not None]
    return {
        **{name: round(one.score, 2) for name, one in found.items()},
        "vus_pr": round(statistics.mean(vus_pr(one, truth, _SLOPE) for one, truth in with_events), 4),
        "f1": round(together.f1, 4),
        "best_f1": round(statistics.mean(best_f1(one, truth) for one, truth in with_events), 4),
        "event_recall": round(together.event_recall or 0.0, 4),
        "delay_rows": round(statistics.median(delays), 1) if delays else None,
        "false_alarm_rate": round(together.false_alarm_rate or 0.0, 5),
        "false_alarms_a_day": round(begun / days, 4),
    }


def nobody(files: list[Labelled]) -> dict[str, Any]:
    """Figures of chance, the mean of some draws, and of an alarm at every row."""
    draws = []
    for seed in range(_DRAWS):
        source = np.random.default_rng(seed)
        draws.append(both(files, {one.name: source.random(len(one.values)) for one in files}))
    mean: dict[str, Any] = {}
    for way in draws[0]:
        known = {name: [row[way][name] for row in draws if row[way][name] is not None] for name in draws[0][way]}
        mean[way] = {name: round(statistics.mean(some), 4) if some else None for name, some in known.items()}
    return {"random": mean, "always": both(files, {one.name: np.ones(len(one.values)) for one in files})}


def _measured(runs: dict[str, Any], folder: Path, before: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """By detector; of V4 each seed. Of a run that is not here, what was found before."""
    files = nab.load()
    found: dict[str, Any] = dict(before.get("details", {}))
    found |= nobody(files)
    for name in names:
        print(f"scoring {name}", flush=True)
        found[name] = both(files, {one.name: simple(name, one) for one in files})
    for contender in TRAININGS.contenders:
        known = before.get("details", {}).get(f"v4 {contender}", {})
        rows = {}
        for seed in TRAININGS.of(runs, contender):
            run = folder / f"{contender}-{seed}"
            key = f"{seed} {runs[f'{contender}-{seed}']['recipe']} {_code()}"
            if key in known:
                rows[key] = known[key]
            elif (run / "best.pt").exists():
                print(f"scoring {run.name}", flush=True)
                rows[key] = both(files, learned(run, files))
        found[f"v4 {contender}"] = rows
    return found


def _code() -> str:
    """Changes when the detector does: figures of another one are not taken over."""
    from workers.detect import v4

    return hashlib.sha256(Path(v4.__file__).read_bytes()).hexdigest()[:8]


def summary(found: dict[str, Any]) -> dict[str, Any]:
    rows = list(found.get("v4 dynamic", {}).values())
    ours = {}
    if rows:
        ours = {name: round(statistics.mean(row["once"][name] for row in rows), 2) for name in _PROFILES}
        ours["vus_pr"] = round(statistics.mean(row["raw"]["vus_pr"] for row in rows), 4)
    best_simple = max((name for name in _CHEAP if name in found), key=lambda name: found[name]["raw"]["vus_pr"],
                      default=None)  # fmt: skip
    if best_simple:
        row = found[best_simple]
        ours |= {"best_simple": best_simple, "best_simple_standard": row["once"]["standard"],
                 "best_simple_vus_pr": row["raw"]["vus_pr"]}  # fmt: skip
    chance = found["random"]
    return {**ours, "random_standard": chance["once"]["standard"], "random_vus_pr": chance["raw"]["vus_pr"]}


def main() -> int:
    parser = TRAININGS.parser("NAB.", "v4_nab.json")
    parser.add_argument("--detectors", nargs="*", choices=_CHEAP, default=list(_CHEAP), help="simple ones to score")
    arguments = parser.parse_args()
    before, runs = TRAININGS.gather(arguments)
    found = _measured(runs, arguments.runs, before, arguments.detectors)
    content = {
        "summary": summary(found), "details": found, "published": PUBLISHED,
        "settings": {"beginning": nab.PROBATION, "slope_rows": _SLOPE},
        "command": "python -m benchmarks.v4_nab --runs FOLDER --train",
        "environment": environment(("torch", "onnxruntime", "numpy")),
    }  # fmt: skip
    TRAININGS.write(arguments, runs, json.loads(json.dumps(content)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
