"""Spoken digits from five examples of each: which base a classifier of clips is taught on.

DATA_DIR=FOLDER python -m benchmarks.v5_spoken [--tasks 600]

FOLDER/fsdd is the Free Spoken Digit Dataset: 50 recordings of each digit by each of six people, 8 kHz. A task has all
ten digits, 5 examples and 10 queries of each; a clip goes through the code that serves it (workers/pipelines/clips.py,
prototypes.py). Nothing is trained. Whose voices are whose is what differs:

- `same`: examples and queries are of one person; `other`: of two different ones; `several`: the examples are of five
  people, one of each, and the queries of the sixth. `unseen_same` and `unseen_other` are of the two people on whom
  nothing was chosen.

Contenders; what is told by prototypes unless it says otherwise:

- `cepstra` is what is deployed; `shape_alone` is without the means and deviations beside the shape.
- `mel_statistics` and `mel_parts` are the mean and deviation of 32 mel bands, and their means in eight parts.
- `kernels` are MiniROCKET's (workers/zoo/v5_windows.py) on the course of each of the first five cepstra; `encoder` is
  V4 as it is released (artifacts/v4-series) on the same.
- `nearest` is the nearest neighbour of what is deployed, `nearest_mel` of the eight parts, and `warped` of the cepstra
  when one clip is stretched onto the other (dynamic time warping).
- `below_2khz` hears half of the frequencies, which is what one halving of the sample rate costs. The recordings have
  nothing above 4 kHz, so that what 16 kHz would bring cannot be measured here.
- `noise_20` and `noise_10` stand within 0.4 to 1.4 seconds of white noise, 20 and 10 decibels below the word, and
  `noise_20_untrimmed` is cut 30 decibels below its loudest moment, whatever the noise.

Every number of `cepstra` (cuts, coefficients, parts, weights) was chosen on the other four people.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.environment import commit, environment
from benchmarks.v5_windows import _encoded as encoded
from benchmarks.v5_windows import accuracy, interval
from contracts.clips import RATE
from workers.data import fsdd
from workers.detect.graph import Session
from workers.pipelines import clips, windows
from workers.pipelines.prototypes import Array, Classes
from workers.zoo import v5_windows
from workers.zoo.v5_spoken import BANDS, FRAMES, Spoken, cosines

CONTENDERS = (
    "cepstra", "shape_alone", "mel_statistics", "mel_parts", "kernels", "encoder", "nearest", "nearest_mel", "warped",
    "below_2khz", "noise_20", "noise_10", "noise_20_untrimmed",
)  # fmt: skip
VOICES = ("same", "other", "several", "unseen_same", "unseen_other")
UNSEEN = ("nicolas", "yweweler")
OUT = Path(__file__).parent / "results/v5_spoken.json"
ENCODER = Path(__file__).parent.parent / "artifacts/v4-series"
_SHOTS, _QUERIES, _DIGITS = 5, 10, 10
_CEPSTRA, _STEPS = 13, 20  # of what is stretched: coefficients, moments
_COURSES = 5  # cepstra that kernels and V4 look at
Names = np.ndarray
Task = tuple[Classes, Classes, Classes, Classes]


def tasks(voices: str, labels: Classes, names: Names, count: int, seed: int = 0) -> Iterator[Task]:
    """Examples, their digits, queries, their digits."""
    source = np.random.default_rng(seed)
    people = np.array(UNSEEN if voices.startswith("unseen") else sorted(set(names)))
    for _ in range(count):
        order = source.permutation(people)
        known, asked = [], []
        for digit in range(_DIGITS):
            by = {one: source.permutation(np.flatnonzero((labels == digit) & (names == one))) for one in order}
            if voices == "several":
                known.append(np.array([by[one][0] for one in order[:_SHOTS]]))
                asked.append(by[order[_SHOTS]][:_QUERIES])
            else:
                known.append(by[order[0]][:_SHOTS])
                asked.append(by[order[int(voices.endswith("other"))]][_SHOTS : _SHOTS + _QUERIES])
        yield np.concatenate(known), _digits(_SHOTS), np.concatenate(asked), _digits(_QUERIES)


def _digits(each: int) -> Classes:
    return np.repeat(np.arange(_DIGITS), each)


def features(contender: str, samples: list[Array]) -> Array:
    """[N, D]; of `warped` [N, steps, coefficients]."""
    if contender.startswith(("noise", "below")):
        return _deployed(_heard([_changed(contender, one, place) for place, one in enumerate(samples)], contender))
    heard = _heard(samples, contender)
    if contender in ("cepstra", "nearest", "shape_alone"):
        found = _deployed(heard)
        return found[:, : Spoken().shape] if contender == "shape_alone" else found
    if contender == "mel_statistics":
        return np.concatenate([heard.mean(1), heard.std(1)], 1)
    if contender in ("mel_parts", "nearest_mel"):
        return _scaled(heard).reshape(len(heard), 8, -1, BANDS).mean(2).reshape(len(heard), -1)
    courses = heard @ cosines(BANDS, _CEPSTRA).numpy()
    if contender == "warped":
        even = (courses - courses.mean(1, keepdims=True)) / (courses.std(1, keepdims=True) + 0.3)
        return even.reshape(len(even), _STEPS, -1, _CEPSTRA).mean(2)
    return _of_courses(courses[:, :, :_COURSES], contender)


def _changed(contender: str, samples: Array, seed: int) -> Array:
    if contender == "below_2khz":
        spectrum = np.fft.rfft(samples)
        spectrum[len(spectrum) // 2 :] = 0
        return np.fft.irfft(spectrum, len(samples))
    source = np.random.default_rng(seed)
    around = [round(RATE * source.uniform(0.2, 0.7)) for _ in range(2)]
    below = 10 ** (-int(contender.split("_")[1]) / 20)
    noise = source.normal(0, below * np.sqrt((samples**2).mean()), len(samples) + sum(around))
    return np.pad(samples, around) + noise


def _heard(samples: list[Array], contender: str) -> Array:
    above = -np.inf if contender.endswith("untrimmed") else clips._ABOVE
    with mock.patch.object(clips, "_ABOVE", above):
        return np.stack([clips.heard(one, FRAMES, BANDS) for one in samples])


def _deployed(heard: Array) -> Array:
    with torch.no_grad():
        found: Array = Spoken()(torch.from_numpy(heard)).numpy()
    return found


def _scaled(heard: Array) -> Array:
    """Each clip around 0 with a deviation of 1."""
    return (heard - heard.mean((1, 2), keepdims=True)) / heard.std((1, 2), keepdims=True)


def _of_courses(courses: Array, contender: str) -> Array:
    """Each cepstrum as a window of its own, [N, D]."""
    length = v5_windows.LENGTH
    rows = courses.transpose(0, 2, 1).reshape(-1, FRAMES).astype(np.float64)
    read = np.stack([windows.read(row, length) for row in rows])
    if contender == "encoder":
        return encoded(read[:, :length], Session(ENCODER / "model.onnx")).reshape(len(courses), -1)
    base = v5_windows.Windows()
    with torch.no_grad():
        found = [base(torch.from_numpy(part))[:, : len(base.mean)] for part in np.array_split(read, 200)]
    return torch.cat(found).numpy().reshape(len(courses), -1)


def told(contender: str, seen: Array, task: Task) -> float:
    """Per cent."""
    known, labels, asked, wanted = task
    if contender == "warped":
        nearest = labels[stretched(seen[asked], seen[known]).argmin(1)]
        return 100 * float((nearest == wanted).mean())
    return 100 * accuracy("nearest" if contender.startswith("nearest") else contender, seen, task)


def stretched(some: Array, others: Array) -> Array:
    """[A, B] costs of the cheapest way to lay one course [T, C] onto another, each moment onto one or several."""
    steps = some.shape[1]
    flat, against = some.reshape(-1, some.shape[2]), others.reshape(-1, others.shape[2])
    squares = (flat**2).sum(1)[:, None] + (against**2).sum(1) - 2 * flat @ against.T
    costs = squares.clip(0).reshape(len(some), steps, len(others), steps).transpose(1, 3, 0, 2).copy()
    for row in range(steps):
        for column in range(steps):
            before = [costs[at] for at in ((row - 1, column), (row, column - 1), (row - 1, column - 1)) if min(at) >= 0]
            if before:
                costs[row, column] += np.minimum.reduce(before)
    found: Array = costs[-1, -1]
    return found


def judged(contender: str, samples: list[Array], labels: Classes, names: Names, count: int) -> dict[str, Any]:
    """By whose voices, per cent; each contender sees the same tasks."""
    seen, found = features(contender, samples).astype(np.float32), {}
    for voices in VOICES:
        right = interval([[told(contender, seen, task) for task in tasks(voices, labels, names, count)]])
        found[voices] = {name: right[name] for name in ("mean", "interval")}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    every = [one for part in fsdd.load() for one in part]
    samples = [one.values[:, 0].astype(np.float64) for one in every]
    labels, names = np.array([one.label for one in every]), np.array([one.group for one in every])
    found = {}
    for contender in CONTENDERS:
        found[contender] = judged(contender, samples, labels, names, options.tasks)
        print(contender, found[contender], flush=True)
    content = {
        "summary": {voices: found["cepstra"][voices]["mean"] for voices in VOICES}, "details": found,
        "tasks": options.tasks, "data": f"Free Spoken Digit Dataset, {fsdd.SOURCE}, {fsdd.LICENCE}",
        "command": "DATA_DIR=FOLDER python -m benchmarks.v5_spoken", "commit": commit(),
        "environment": environment(("torch", "onnxruntime", "numpy")),
    }  # fmt: skip
    options.out.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
