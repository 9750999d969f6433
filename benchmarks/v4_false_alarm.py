"""Is the budget kept? False alarms measured on normal readings that come after the calibration.

python -m benchmarks.v4_false_alarm [--run FOLDER/dynamic-0] [--detectors pca ...]

Two sources. `nab`: every file of the benchmark, as somebody's history would be: the first half is fitted on, the next
quarter calibrates, the last one is measured; rows inside a window are not counted. `engines`: the sound cycles of
C-MAPSS FD001, other engines to fit on, to calibrate on and to measure, drawn five times. Rates are over all steps
together.

Each with a calibration that stays (`fixed`), which promises nothing once a series drifts, and with one that is made
anew from the last steps, as the site does it (`renewed`): of all of them, as nobody has said which are unusual.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.environment import commit, environment
from contracts.conformal import calibrated, threshold
from workers.data import cmapss, nab
from workers.detect.backtest import History, Make, simple_makers
from workers.detect.base import CannotFit, Steps
from workers.detect.fitted import SIMPLE, Fitted, sizes_of
from workers.detect.graph import Session
from workers.detect.scale import Values, scale_of
from workers.detect.v4 import V4
from workers.export import dc_cpc
from workers.export.series import scale_of_run
from workers.zoo.trained import load_dc_cpc

BUDGETS = (1.0, 3.0, 5.0)  # per cent
_DRAWS = 5
_RENEWALS = 20  # in as many steps as a calibration has
_DAY_ROWS = 300.0  # seconds of a row, which only alarms a day would need
_SOUND = 60  # cycles to the failure, at least


def histories() -> Iterator[tuple[str, History]]:
    """What is normal is told; the parts are those of History.cuts, by rows or by engines."""
    for file in nab.load():
        yield "nab", History(file.values[:, None], _DAY_ROWS, 0, file.is_anomaly, np.zeros(len(file.values), bool))
    engines = [one.values[one.left > _SOUND].astype(np.float64) for one in cmapss.train()]
    engines = [one for one in engines if len(one) > 40]
    for seed in range(_DRAWS):  # engines differ: which ones calibrate is chance
        order = np.random.default_rng(seed).permutation(len(engines))
        yield "engines", _joined([engines[place] for place in order])


def _joined(parts: list[Values]) -> History:
    """One after the other, with a gap that no window bridges; the gaps are not normal."""
    gap = np.full((40, parts[0].shape[1]), np.nan)
    values = np.concatenate([row for part in parts for row in (part, gap)])
    is_gap = np.isnan(values).all(1)
    after = np.convolve(is_gap, np.ones(41), "full")[: len(values)] > 0  # the first cycles stand alone in their window
    return History(values, _DAY_ROWS, 0, np.zeros(len(values), bool), after)


def v4_maker(run: Path, history: History) -> Make:
    """The network of a run of v4.nab, for one sensor."""
    model, _ = load_dc_cpc(run)
    folder = run / "graph"
    if not (folder / dc_cpc.GRAPH).exists():
        folder.mkdir(exist_ok=True)
        dc_cpc.write_graph(model, folder)
    sizes, graph = sizes_of({"graph": dc_cpc.values(model, scale_of_run(run))}), Session(folder / dc_cpc.GRAPH)
    heads = dict(np.load(folder / dc_cpc.HEADS))

    def make(values: Values, is_normal: Steps) -> Fitted:
        scale = scale_of(np.where(is_normal[:, None], values, np.nan))
        detector = V4.fit(scale.apply(values), is_normal, 0, heads, sizes, graph)
        return Fitted(detector, scale, history.interval, history.origin, values.shape[1])

    return make


Counts = dict[str, tuple[int, int]]  # alarms and normal steps by budget


def measured(make: Make, history: History) -> dict[str, Counts] | None:
    """Of a calibration that stays and of one that is renewed; None where the detector cannot be fitted."""
    first, second = history.cuts()
    try:
        fitted = make(history.values[:first], history.is_normal[:first])
    except CannotFit:
        return None
    track, place = fitted.track(history.values), np.arange(len(history.values))
    calibration = fitted.calibrate(track, history.values, (place >= first) & (place < second) & history.is_normal)
    scores = track.scores / fitted.unit
    fixed = {budget: np.full(len(scores), threshold(calibration, budget, "cent")) for budget in BUDGETS}
    return {
        "fixed": _counts(scores, fixed, history, second),
        "renewed": _counts(scores, _renewed(scores, history, second), history, second),
    }


def _renewed(scores: NDArray[np.float64], history: History, second: int) -> dict[float, NDArray[np.float64]]:
    """Thresholds of each step, from those before it as the site renews them: nobody says which are normal."""
    size = second - history.cuts()[0]
    known = np.where(history.is_excluded, np.nan, scores)
    found = {budget: np.full(len(scores), np.inf) for budget in BUDGETS}
    for begin in range(second, len(scores), max(1, size // _RENEWALS)):
        calibration = calibrated(known[begin - size : begin].tolist(), history.interval)
        for budget, limits in found.items():
            limits[begin:] = threshold(calibration, budget, "cent")
    return found


def _counts(
    scores: NDArray[np.float64], limits: dict[float, NDArray[np.float64]], history: History, second: int
) -> Counts:
    is_counted = history.is_normal & np.isfinite(scores) & (np.arange(len(scores)) >= second)
    return {
        f"{budget:g}": (int((scores > limit)[is_counted].sum()), int(is_counted.sum()))
        for budget, limit in limits.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Are budgets of false alarms kept?")
    parser.add_argument("--run", type=Path, help="a run of v4.nab")
    parser.add_argument("--detectors", nargs="*", choices=list(SIMPLE), default=list(SIMPLE))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/v4_false_alarm.json"))
    arguments = parser.parse_args()
    sums: dict[str, dict[str, dict[str, list[int]]]] = {}
    for source, history in histories():
        makers = simple_makers(history, 0, tuple(arguments.detectors))
        if arguments.run and history.values.shape[1] == 1:
            makers["v4"] = v4_maker(arguments.run, history)
        for name, make in makers.items():
            for way, counts in (measured(make, history) or {}).items():
                for budget, (alarms, steps) in counts.items():
                    entry = sums.setdefault(f"{source}_{way}", {}).setdefault(name, {}).setdefault(budget, [0, 0])
                    entry[0] += alarms
                    entry[1] += steps
    details = {
        source: {name: {budget: {"rate": round(alarms / max(1, steps), 5), "steps": steps,
                                 "ratio": round(100 * alarms / max(1, steps) / float(budget), 3)}
                        for budget, (alarms, steps) in row.items()} for name, row in rows.items()}
        for source, rows in sums.items()
    }  # fmt: skip
    content = {
        "summary": summary(details), "details": details, "budgets_per_cent": list(BUDGETS), "commit": commit(),
        "command": "python -m benchmarks.v4_false_alarm --run FOLDER/dynamic-0",
        "environment": environment(("onnxruntime", "numpy")),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["summary"], indent=1))
    return 0


def summary(details: dict[str, Any]) -> dict[str, Any]:
    """The ratio to the budget that is furthest from 1, by source and way; `worst_ratio_to_budget` is that of both
    sources as the site does it."""
    found = {
        f"{source}_worst_ratio": _worst(entry["ratio"] for row in rows.values() for entry in row.values())
        for source, rows in details.items()
    }
    renewed = [ratio for name, ratio in found.items() if "renewed" in name]
    return {"worst_ratio_to_budget": _worst(renewed) if renewed else None, **found}


def _worst(ratios: Iterable[float]) -> float:
    return max(ratios, key=lambda ratio: max(ratio, 1 / max(ratio, 1e-3)))


if __name__ == "__main__":
    sys.exit(main())
