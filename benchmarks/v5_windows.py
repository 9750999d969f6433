"""Windows of sensors from five examples of each class: which base a classifier of windows is taught on.

DATA_DIR=FOLDER python -m benchmarks.v5_windows [--seeds 3] [--tasks 200]

FOLDER/ucr has a folder for each of SETS with NAME_TRAIN.ts and NAME_TEST.ts, as they lie in the wheel of aeon 1.6.0
(aeon/datasets/data); training and test part are put together, since nothing is trained. A task has 5 of the set's
classes, or all where it has fewer, 5 examples and at most 10 queries of each; a window goes through the code that
serves it (workers/pipelines/windows.py, prototypes.py). A seed draws other tasks and, of kernels, other biases;
intervals of 95 % are over the tasks of all seeds.

- `kernels` is what is deployed; `kernels_alone` is without level and spread; `kernels_raised` gives every window a
  level and a spread by chance, which is what telling them costs where they mean nothing.
- `encoder` is V4 as it is released (artifacts/v4-series), means and deviations of its tokens and contexts.
- `window` is the window itself around 0 with a deviation of 1, and `nearest` is its nearest neighbour instead of
  prototypes.

The design of `kernels` (the whole window, two biases) was chosen on the first four sets, the weight of level and spread
on five; ACSF1 was looked at once it was.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.environment import commit, environment
from contracts.few_shot import MOST_VALUES
from workers.data.corpus import DataMissing, data_dir
from workers.detect.graph import Session
from workers.pipelines import windows
from workers.pipelines.prototypes import Array, Classes, one_hot, squared_distances
from workers.zoo.v5_windows import LENGTH, LEVELS, Windows

SETS = ("GunPoint", "ArrowHead", "ItalyPowerDemand", "OSULeaf", "PickupGestureWiimoteZ", "ACSF1")
CONTENDERS = ("kernels", "kernels_alone", "kernels_raised", "encoder", "window", "nearest")
OUT = Path(__file__).parent / "results/v5_windows.json"
ENCODER = Path(__file__).parent.parent / "artifacts/v4-series"
_WAYS, _SHOTS, _QUERIES = 5, 5, 10
_Z = 1.96
Places = NDArray[np.int64]
Task = tuple[Places, Classes, Places, Classes]


def load(name: str) -> tuple[Array, Classes]:
    """Windows as a worker reads them [N, T + 2], and their classes. Raises DataMissing."""
    rows, names = [], []
    for part in ("TRAIN", "TEST"):
        path = data_dir() / f"ucr/{name}/{name}_{part}.ts"
        if not path.exists():
            raise DataMissing(f"{path} is not there. It is in the wheel of aeon 1.6.0; set DATA_DIR.")
        for line in path.read_text().splitlines():
            if line and line[0] not in "#@":
                values, _colon, label = line.rpartition(":")
                rows.append(np.array(values.split(","), np.float64))
                names.append(label)
    short = [windows.resampled(row, MOST_VALUES) if len(row) > MOST_VALUES else row for row in rows]
    return np.stack([windows.read(row, LENGTH) for row in short]), np.unique(names, return_inverse=True)[1]


def tasks(labels: Classes, source: np.random.Generator, count: int) -> Iterator[Task]:
    """Examples, their classes, queries, their classes."""
    every = np.unique(labels)
    for _ in range(count):
        chosen = source.choice(every, min(_WAYS, len(every)), replace=False)
        drawn = [source.permutation(np.flatnonzero(labels == one))[: _SHOTS + _QUERIES] for one in chosen]
        known, asked = [one[:_SHOTS] for one in drawn], [one[_SHOTS:] for one in drawn]
        yield (*_joined(known), *_joined(asked))


def _joined(parts: list[Places]) -> tuple[Places, Classes]:
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(one) for one in parts])


def features(contender: str, rows: Array, seed: int, encoder: Session) -> Array:
    """[N, D]"""
    if contender in ("window", "nearest"):
        return rows[:, :LENGTH]
    if contender == "encoder":
        return _encoded(rows[:, :LENGTH], encoder)
    if contender == "kernels_raised":
        source = np.random.default_rng(seed)
        rows = rows.copy()
        rows[:, LENGTH:] = source.normal(0, 2, (len(rows), LEVELS))
    base = Windows(seed)
    with torch.no_grad():
        found: Array = base(torch.from_numpy(rows)).numpy()
    return found[:, : len(base.mean)] if contender == "kernels_alone" else found


def _encoded(shapes: Array, encoder: Session) -> Array:
    state = json.loads((ENCODER / "manifest.json").read_text())["graph"]["state"]
    found = []
    for begin in range(0, len(shapes), 64):
        readings = shapes[begin : begin + 64, :, None]
        tokens, contexts, *_ = encoder(readings, np.ones_like(readings), np.zeros((len(readings), state), np.float32))
        found.append(np.concatenate([tokens.mean(1), tokens.std(1), contexts.mean(1), contexts.std(1)], 1))
    result: Array = np.concatenate(found)
    return result


def accuracy(contender: str, seen: Array, task: Task) -> float:
    known, labels, asked, wanted = task
    if contender == "nearest":
        told = labels[squared_distances(seen[asked], seen[known]).argmin(1)]
    else:
        targets = one_hot(labels, int(labels.max()) + 1)
        centres = targets.T @ seen[known] / targets.sum(0)[:, None]
        told = squared_distances(seen[asked], centres).argmin(1)
    return float((told == wanted).mean())


def judged(name: str, seeds: int, count: int) -> dict[str, Any]:
    """Of one set, per cent by contender; each sees the same tasks."""
    rows, labels = load(name)
    encoder = Session(ENCODER / "model.onnx")
    found: dict[str, Any] = {"windows": len(labels), "classes": int(labels.max()) + 1}
    for contender in CONTENDERS:
        by_seed = []
        for seed in range(seeds):
            seen = features(contender, rows, seed, encoder)
            drawn = tasks(labels, np.random.default_rng(seed), count)
            by_seed.append([100 * accuracy(contender, seen, task) for task in drawn])
        found[contender] = interval(by_seed)
    return found


def interval(by_seed: list[list[float]]) -> dict[str, Any]:
    every = np.array(by_seed).ravel()
    return {
        "mean": round(float(every.mean()), 1), "interval": round(float(_Z * every.std() / len(every) ** 0.5), 1),
        "by_seed": [round(float(np.mean(one)), 1) for one in by_seed],
    }  # fmt: skip


def summary(found: dict[str, Any]) -> dict[str, float]:
    """Means over the sets."""
    return {one: round(float(np.mean([row[one]["mean"] for row in found.values()])), 1) for one in CONTENDERS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name in SETS:
        found[name] = judged(name, options.seeds, options.tasks)
        print(name, found[name], flush=True)
    content = {
        "summary": summary(found), "details": found, "seeds": options.seeds, "tasks": options.tasks,
        "data": "UCR archive (Dau et al. 2019, arXiv:1810.07758) as it lies in the wheel of aeon 1.6.0",
        "command": "DATA_DIR=FOLDER python -m benchmarks.v5_windows", "commit": commit(),
        "environment": environment(("torch", "onnxruntime", "numpy")),
    }  # fmt: skip
    options.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
