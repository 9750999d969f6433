"""few-shot-classification: a few examples to a classifier, and inputs to what it says of them (contracts/few_shot.py).

The worker keeps nothing of a classifier: its adapter comes with each request. The base reads a row of strengths with
each of its rows, so that inputs of many classifiers share a batch, and what follows are a few products of matrices.

To learn, the base without adapters looks at all examples; from these come the strengths (the graph `modulate`), and
with them it looks once more. A model without that graph looks once, and its strengths are 0.

The manifest says what is read: `reads` `texts`, with a tokenizer, `images`, with a processor, `clips`, with `frames`
and `bands`, or `windows`, with their `length`.

Letters: B rows of a batch, N examples, D features, R ranks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from contracts.few_shot import (
    CLIPS,
    LEAST_CLASSES,
    MOST_CLASSES,
    MOST_EXAMPLES,
    MOST_INPUTS,
    PICTURES,
    TASK,
    TEXTS,
    WINDOWS,
)
from contracts.messages import ErrorType, InferenceRequest, RevisionSpec
from workers.backends.base import BackendError
from workers.backends.encoder import EncoderBackend, Feeds, OrtEncoder
from workers.engine.encoder import EncoderEngine, Prepared
from workers.engine.intake import Refused
from workers.engine.output import Sink

from . import prototypes
from .clips import ClipReader
from .encoder_loading import Machine, Progress, load_encoder, silent
from .image_feature_extraction import ImageFeatureExtraction
from .manifest import read_manifest, require
from .prototypes import Array, BadAdapter, Classes, Task
from .text_encoder import TextTokenizer, TokenIds
from .windows import WindowReader

__all__ = ["TASK", "load_engine"]

_SECOND_LOOK = 8  # examples at a time


class Reader(Protocol):
    """What an artifact reads."""

    max_length: int

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        """Raises Refused."""

    def feeds(self, payloads: Sequence[Any]) -> Feeds: ...
    def probe(self, length: int) -> Any: ...


class TextReader:
    def __init__(self, artifact: Path, spec: RevisionSpec, manifest: dict[str, Any]) -> None:
        require(manifest, "max_length")
        self.max_length = min(manifest["max_length"], spec.context_length)
        self._tokenizer = TextTokenizer(artifact, manifest, self.max_length)

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        """Of a long text its beginning is read."""
        return self._tokenizer.prepare({TEXTS: request.inputs.get(TEXTS), "truncate": True})

    def feeds(self, payloads: Sequence[TokenIds]) -> Feeds:
        ids = np.full((len(payloads), max(map(len, payloads))), self._tokenizer.pad_id, np.int64)
        for row, tokens in zip(ids, payloads, strict=True):
            row[: len(tokens)] = tokens
        return {"input_ids": ids}

    def probe(self, length: int) -> TokenIds:
        return [self._tokenizer.pad_id + 1] * length


class PictureReader(ImageFeatureExtraction):
    def __init__(self, artifact: Path, spec: RevisionSpec, manifest: dict[str, Any]) -> None:
        super().__init__(artifact, spec, {**manifest, "pooling": "none", "normalize": False,
                                          "dimensions": manifest["features"]})  # fmt: skip

    def feeds(self, payloads: Sequence[Any]) -> Feeds:
        return {"pixel_values": np.stack(payloads)}


class Lesson:
    """Examples that are learned together, until the base without adapters has looked at all of them."""

    def __init__(self, payloads: Sequence[Any], labels: Classes, classes: int) -> None:
        self.payloads, self.labels, self.classes = payloads, labels, classes
        self.began = time.perf_counter()
        self._seen: list[Array | None] = [None] * len(payloads)
        self._lock = threading.Lock()

    def add(self, place: int, features: Array) -> Array | None:
        """All features [N, D] for whoever brings the last."""
        with self._lock:
            self._seen[place] = features
            return None if any(one is None for one in self._seen) else np.stack(self._seen)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Row:
    """An input with the strengths [R] that it is looked at with, or an example of a lesson."""

    payload: Any
    strengths: Array
    lesson: Lesson | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Learned:
    """Of all examples of a lesson: strengths [R] and the features that they give, [N, D]."""

    lesson: Lesson
    strengths: Array
    features: Array


class FewShotClassification:
    """The pipeline of one artifact. Raises BackendError when its manifest does not do."""

    def __init__(self, artifact: Path, spec: RevisionSpec) -> None:
        manifest = read_manifest(artifact, TASK)
        require(manifest, "model", "reads", "ranks", "features", "sharpness", "files")
        readers: dict[str, Callable[..., Reader]] = {
            TEXTS: TextReader, PICTURES: PictureReader, CLIPS: ClipReader, WINDOWS: WindowReader,
        }  # fmt: skip
        if manifest["reads"] not in readers:
            raise BackendError(f"The manifest says that it reads {manifest['reads']}; known: {', '.join(readers)}")
        self.manifest = manifest
        self.reads: str = manifest["reads"]
        self.ranks: int = manifest["ranks"]
        self.reader = readers[self.reads](artifact, spec, manifest)
        self.max_length = self.reader.max_length
        self.modulate = Modulation(artifact, manifest) if "modulate" in manifest else None
        self.digest: str = manifest["files"][manifest["model"]]["sha256"]

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        items = self.reader.prepare(request)
        if "adapt" in request.inputs:
            return self._lesson(request.inputs["adapt"], items)
        if len(items) > MOST_INPUTS:
            raise _refused(f"{self.reads}: at most {MOST_INPUTS} at once, these are {len(items)}")
        strengths = self._task(request).strengths
        return [replace(item, payload=Row(item.payload, strengths)) for item in items]

    def answer(self, request: InferenceRequest, results: list[Any]) -> dict[str, Any]:
        if "adapt" not in request.inputs:
            return {"items": [asdict(one) for one in prototypes.told(self._task(request), np.stack(results))]}
        found = next(one for one in results if isinstance(one, Learned))
        lesson = found.lesson
        task, report = prototypes.learned(
            found.features, lesson.labels, lesson.classes, found.strengths, self.manifest["sharpness"]
        )
        adapter = prototypes.written(task, self.digest)
        seconds = round(time.perf_counter() - lesson.began, 3)
        return {"adapter": asdict(adapter), "report": asdict(replace(report, seconds=seconds))}

    def lane(self, backend: EncoderBackend) -> FewShotLane:
        return FewShotLane(backend, self.reader, self.modulate)

    def probe(self, length: int) -> Row:
        """A payload, for timing."""
        return Row(self.reader.probe(length), np.zeros(self.ranks, np.float32))

    def _task(self, request: InferenceRequest) -> Task:
        try:
            return prototypes.read(request.inputs.get("adapter"), self.digest, self.ranks)
        except BadAdapter as error:
            raise _refused(str(error)) from error

    def _lesson(self, asked: Any, items: list[Prepared]) -> list[Prepared]:
        labels, classes = _labels(asked, len(items))
        lesson = Lesson([item.payload for item in items], labels, classes)
        nothing = np.zeros(self.ranks, np.float32)
        return [replace(item, payload=Row(item.payload, nothing, lesson, place)) for place, item in enumerate(items)]


class Modulation:
    """The graph from the examples' features [N, D] and their classes [N, K] to strengths [R]."""

    def __init__(self, artifact: Path, manifest: dict[str, Any]) -> None:
        self._graph = OrtEncoder(artifact / manifest["modulate"])

    def __call__(self, features: Array, lesson: Lesson) -> Array:
        targets = prototypes.one_hot(lesson.labels, lesson.classes)
        return self._graph.run({"features": features, "targets": targets})


class FewShotLane:
    """Rows through the base, whosever they are. The last example of a lesson brings the second look at all of it."""

    def __init__(self, backend: EncoderBackend, reader: Reader, modulate: Modulation | None) -> None:
        self._backend, self._reader, self._modulate = backend, reader, modulate

    def run(self, payloads: Sequence[Row]) -> list[Any]:
        features = self._look([row.payload for row in payloads], [row.strengths for row in payloads])
        return [self._result(row, found) for row, found in zip(payloads, features, strict=True)]

    def pin(self) -> None:
        self._backend.pin()

    def close(self) -> None:
        self._backend.close()

    def _result(self, row: Row, features: Array) -> Array | Learned | None:
        if row.lesson is None:
            return features
        whole = row.lesson.add(row.place, features)
        return None if whole is None else self.learn(row.lesson, whole, row.strengths)

    def learn(self, lesson: Lesson, features: Array, strengths: Array) -> Learned:
        """Of the features [N, D] that these strengths [R] give."""
        if self._modulate is None:
            return Learned(lesson, strengths, features)
        strengths = self._modulate(features, lesson)
        return Learned(lesson, strengths, self.features(lesson.payloads, strengths))

    def features(self, payloads: Sequence[Any], strengths: Array) -> Array:
        """[N, D] of examples that are looked at with the same strengths [R]."""
        places = sorted(range(len(payloads)), key=lambda place: np.size(payloads[place]))
        parts = [places[begin : begin + _SECOND_LOOK] for begin in range(0, len(places), _SECOND_LOOK)]
        found = [self._look([payloads[place] for place in some], [strengths] * len(some)) for some in parts]
        result: Array = np.concatenate(found)[np.argsort(places)]
        return result

    def _look(self, payloads: Sequence[Any], strengths: Sequence[Array]) -> Array:
        """[B, D]"""
        feeds, types = self._reader.feeds(payloads), self._backend.input_types
        if "strengths" in types:
            feeds["strengths"] = np.stack(strengths)
        return self._backend.run({name: np.ascontiguousarray(feeds[name], kind) for name, kind in types.items()})


def _labels(asked: Any, count: int) -> tuple[Classes, int]:
    """Raises Refused."""
    labels, classes = (asked.get("labels"), asked.get("classes")) if isinstance(asked, dict) else (None, None)
    if type(classes) is not int or not LEAST_CLASSES <= classes <= MOST_CLASSES:
        raise _refused(f"classes: must be between {LEAST_CLASSES} and {MOST_CLASSES}, got {classes}")
    if not isinstance(labels, list) or len(labels) != count or not all(type(one) is int for one in labels):
        raise _refused("labels: must be a class for each example")
    counts = [labels.count(one) for one in range(classes)]
    if sum(counts) != count:
        raise _refused("labels: must be a class for each example")
    if not all(1 <= one <= MOST_EXAMPLES for one in counts):
        raise _refused(f"labels: every class needs 1 to {MOST_EXAMPLES} examples")
    return np.array(labels, np.int64), classes


def _refused(message: str) -> Refused:
    return Refused(ErrorType.INVALID_REQUEST, message)


def load_engine(
    artifact: Path, spec: RevisionSpec, sink: Sink, machine: Machine, progress: Progress = silent
) -> EncoderEngine:
    """A warm engine, not yet started. Raises BackendError."""
    return load_encoder(FewShotClassification(artifact, spec), artifact, spec, sink, machine, progress)
