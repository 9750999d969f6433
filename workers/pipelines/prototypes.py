"""Classes as the means of their examples' features: learning them, judging them, and telling what a new input is.

- Snell et al. 2017, prototypical networks, arXiv:1703.05175.
- Wilson 1927: the interval of a share.
- Vovk et al. 2005, conformal prediction: a threshold by rank among what was left out, here of one task's few examples,
  whose exchangeability with what comes is assumed, not known.

An example is judged by the means of what is left without it, all of them in one pass over the features. The features
themselves stay: strengths of adapters that were generated from all examples have seen the one that is left out.

Letters: N examples or inputs, K classes, D features.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.few_shot import Adapter, Answer, Report

Array = NDArray[np.float32]
Classes = NDArray[np.int64]

_TOLD = 0.95  # share of what belongs that the threshold lets through, where there are enough examples to say
_SHARPENINGS = np.geomspace(0.05, 20, 61)
_SHRINKS = 4.0  # as many examples of the mean radius are added to those of each class
_Z = 1.959964


class BadAdapter(ValueError):
    """Says what is wrong with it, to the person who sent it."""


class Task(NamedTuple):
    """An adapter with its arrays."""

    strengths: Array  # [R]
    centres: Array  # [K, D]
    radii: Array  # [K]
    sharpness: float
    threshold: float | None


def learned(
    features: Array, labels: Classes, classes: int, strengths: Array, sharpness: float, left_out: Array | None = None
) -> tuple[Task, Report]:
    """Of the examples' features [N, D]; every class has at least one. `sharpness` is the model's; how much sharper or
    softer these classes want it is read from the examples left out. `left_out` has the squared distances [N, K] of each
    from centres that it had no part in, where the strengths have seen all examples."""
    counts = np.bincount(labels, minlength=classes)
    centres = one_hot(labels, classes).T @ features / counts[:, None]
    left_out = _left_out(features, labels, centres, counts) if left_out is None else left_out
    judged = counts[labels] > 1
    sharpness *= sharpening(-sharpness * left_out[judged], labels[judged])
    radii = _radii(left_out, labels, judged, classes)
    threshold, rejected = _threshold((left_out / radii).min(1)[judged])
    shares = softmax(-sharpness * left_out)
    guesses = left_out.argmin(1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels[judged], guesses[judged]), 1)
    right = int((guesses == labels)[judged].sum())
    low, high = wilson(right, int(judged.sum()))
    report = Report(
        judged=int(judged.sum()), right=right, low=low, high=high, confusion=confusion.tolist(),
        guesses=[int(guess) if known else None for guess, known in zip(guesses, judged, strict=True)],
        shares=[round(float(row[label]), 4) if known else None
                for row, label, known in zip(shares, labels, judged, strict=True)],
        nearest=int((_nearest(features, labels) == labels)[judged].sum()),
        commonest=int((labels == counts.argmax())[judged].sum()), rejected=round(rejected, 4), seconds=0.0,
    )  # fmt: skip
    return Task(strengths, centres.astype(np.float32), radii.astype(np.float32), float(sharpness), threshold), report


def told(task: Task, features: Array) -> list[Answer]:
    """What each input [N, D] is."""
    distances = squared_distances(features, task.centres)
    shares = softmax(-task.sharpness * distances)
    scores = (distances / task.radii).min(1)
    answers = []
    for row, score in zip(shares, scores, strict=True):
        distance = None if task.threshold is None else round(float(score) / task.threshold, 4)
        answers.append(
            Answer([round(float(share), 4) for share in row], distance, distance is not None and distance > 1)
        )
    return answers


def written(task: Task, model: str) -> Adapter:
    adapter = Adapter(
        model, *task.centres.shape, _base64(task.strengths, "<f4"), _base64(task.centres, "<f2"),
        _base64(task.radii, "<f4"), task.sharpness, task.threshold, "",
    )  # fmt: skip
    return replace(adapter, sha256=_digest(adapter))


def read(said: object, model: str, ranks: int) -> Task:
    """Raises BadAdapter."""
    try:
        adapter = Adapter.from_dict(said)  # type: ignore[arg-type]
        digest = _digest(adapter)
    except (TypeError, ValueError, AttributeError) as error:
        raise BadAdapter("the adapter is damaged: it is not one") from error
    if adapter.sha256 != digest:
        raise BadAdapter("the adapter is damaged: its checksum is another")
    if adapter.model != model:
        raise BadAdapter("the adapter was made for another model. Teach the classifier again.")
    strengths = _numbers(adapter.strengths, "<f4", (ranks,))
    centres = _numbers(adapter.centres, "<f2", (adapter.classes, adapter.features))
    radii = _numbers(adapter.radii, "<f4", (adapter.classes,))
    threshold = adapter.threshold if adapter.threshold is not None else 1.0
    if not (math.isfinite(adapter.sharpness) and (radii > 0).all() and 0 < threshold < math.inf):
        raise BadAdapter("the adapter is damaged: its numbers cannot be")
    return Task(strengths, centres, radii, adapter.sharpness, adapter.threshold)


def one_hot(labels: Classes, classes: int) -> Array:
    found: Array = np.eye(classes, dtype=np.float32)[labels]
    return found


def squared_distances(features: Array, centres: Array) -> Array:
    """[N, K]"""
    products = features @ centres.T
    found = (features**2).sum(1)[:, None] - 2 * products + (centres**2).sum(1)
    return np.maximum(found, 0.0).astype(np.float32)


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    result: Array = powers / powers.sum(-1, keepdims=True)
    return result


def wilson(right: int, judged: int) -> tuple[float, float]:
    """The ends of the 95 % interval of right / judged; 0 and 1 when nothing was judged."""
    if not judged:
        return 0.0, 1.0
    share, spread = right / judged, _Z * _Z / judged
    middle = share + spread / 2
    width = _Z * math.sqrt(share * (1 - share) / judged + spread / (4 * judged))
    low, high = (middle - width) / (1 + spread), (middle + width) / (1 + spread)
    return round(max(0.0, low), 4), round(min(1.0, high), 4)


def _left_out(features: Array, labels: Classes, centres: Array, counts: Classes) -> Array:
    """Squared distances [N, K], to its own class from the mean of the others. That mean is of one example less than
    the one that will be asked, so it lies further from what belongs to it, by a share that is known: taken away."""
    found = squared_distances(features, centres)
    rows, many = np.arange(len(labels)), counts[labels].astype(np.float32)
    # f - (n c - f) / (n - 1) = (f - c) n / (n - 1)
    others = np.maximum(many - 1, 1)
    closer = (many**2 - 1) / many**2
    found[rows, labels] *= np.where(many > 1, (many / others) ** 2 * closer, 1.0)
    return found


def sharpening(logits: Array, labels: Classes) -> float:
    """Times the sharpness: the most likely by those left out, near 1 where they say little (log-normal before)."""
    if not len(labels):
        return 1.0
    return float(min(_SHARPENINGS, key=lambda by: surprise(by * logits, labels) + 0.5 * math.log(by) ** 2))


def surprise(logits: Array, labels: Classes) -> float:
    """Of all rows together, in nats."""
    shares = softmax(logits)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(shares, 1e-12)).sum())


def _radii(left_out: Array, labels: Classes, judged: NDArray[np.bool_], classes: int) -> Array:
    """[K]: mean squared distance of each class's examples left out, drawn towards that of all; 1 when none was."""
    own = left_out[np.arange(len(labels)), labels][judged]
    if not own.size:
        return np.ones(classes, np.float32)
    mean = max(float(own.mean()), 1e-6)
    counts = np.bincount(labels[judged], minlength=classes)
    sums = np.bincount(labels[judged], own, minlength=classes)
    return np.asarray((sums + _SHRINKS * mean) / (counts + _SHRINKS), np.float32)


def _threshold(scores: Array) -> tuple[float | None, float]:
    """The score that _TOLD of what belongs stays below, or the largest where there are too few to say; and the share
    that is expected above it."""
    if not scores.size:
        return None, 0.0
    rank = min(len(scores), math.ceil((len(scores) + 1) * _TOLD))
    return max(float(np.sort(scores)[rank - 1]), 1e-6), 1 - rank / (len(scores) + 1)


def _nearest(features: Array, labels: Classes) -> Classes:
    """[N]: the class of the nearest other example."""
    distances = squared_distances(features, features)
    np.fill_diagonal(distances, np.inf)
    return np.asarray(labels[distances.argmin(1)], np.int64)


def _base64(values: Array, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()


def _numbers(text: object, kind: str, shape: tuple[int, ...]) -> Array:
    try:
        found = np.frombuffer(base64.b64decode(str(text), validate=True), kind).reshape(shape).astype(np.float32)
    except (ValueError, TypeError, binascii.Error) as error:
        raise BadAdapter("the adapter is damaged: it has other sizes than its model") from error
    if not np.isfinite(found).all():
        raise BadAdapter("the adapter is damaged: its numbers cannot be")
    return found


def _digest(adapter: Adapter) -> str:
    values = asdict(adapter) | {"sha256": ""}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
