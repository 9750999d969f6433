"""text-classification: texts to labels with scores.

Inputs {"texts": [str]} or {"token_ids": [[int]]}, "truncate" (bool), "top_k" (int; all when left out), "explain" (bool;
of one text). RESULT {"labels": for each text [{label, score}], highest score first, "explanation" when asked for}.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from contracts.messages import ErrorType, InferenceRequest, RevisionSpec
from workers.backends.base import BackendError
from workers.backends.encoder import EncoderBackend
from workers.engine.encoder import EncoderEngine, Prepared
from workers.engine.intake import Refused
from workers.engine.output import Sink

from . import occlusion, reach
from .encoder_loading import Machine, Progress, load_encoder, silent
from .manifest import read_manifest, require
from .pooling import Vectors
from .text_encoder import TextLane, TextTokenizer

TASK = "text-classification"


def softmax(logits: Vectors) -> Vectors:
    """Over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Vectors = powers / powers.sum(axis=-1, keepdims=True)
    return result


def sigmoid(logits: Vectors) -> Vectors:
    result: Vectors = np.exp(-np.logaddexp(0.0, -logits)).astype(np.float32)
    return result


_SCORES = {
    "single_label_classification": softmax,
    "multi_label_classification": sigmoid,
    "regression": lambda logits: logits,
}


class TextClassification:
    """The pipeline of one artifact. Raises BackendError when its manifest does not do."""

    def __init__(self, artifact: Path, spec: RevisionSpec) -> None:
        manifest = read_manifest(artifact, TASK)
        require(manifest, "model", "max_length", "labels", "problem_type")
        if manifest["problem_type"] not in _SCORES:
            raise BackendError(f"The manifest names the problem type {manifest['problem_type']}, which is not known")
        self.manifest = manifest
        self.max_length = min(manifest["max_length"], spec.context_length)
        self._labels: list[str] = manifest["labels"]
        self._scores = _SCORES[manifest["problem_type"]]
        self._attention = reach.Attention.of(manifest)
        self._tokenizer = TextTokenizer(artifact, manifest, self.max_length)

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        top_k = request.inputs.get("top_k")
        if top_k is not None and (type(top_k) is not int or top_k < 1):
            raise Refused(ErrorType.INVALID_REQUEST, "top_k: must be a positive number", param="top_k")
        items = self._tokenizer.prepare(request.inputs)
        if not request.inputs.get("explain"):
            return items
        return [self._watched(items[0]), *items[1:], *self._without_spans(request)]

    def answer(self, request: InferenceRequest, results: list[Any]) -> dict[str, Any]:
        top_k = request.inputs.get("top_k") or len(self._labels)
        if not request.inputs.get("explain"):
            return {"labels": [self._best(scores, top_k) for scores in results]}
        whole, *others = results
        attention = {}
        if isinstance(whole, reach.Looked):
            whole, attention = whole.scores, {"attention": whole.attention}
        spans = occlusion.spans(self._encoding(request))
        why = occlusion.explanation(spans, [whole, *others], self._labels)
        return {"labels": [self._best(whole, top_k)], "explanation": why, **attention}

    def lane(self, backend: EncoderBackend) -> TextLane:
        if self._attention:
            return reach.WatchingLane(backend, self._tokenizer.pad_id, self._finish, self._attention)
        return TextLane(backend, self._tokenizer.pad_id, self._finish)

    def probe(self, length: int) -> list[int]:
        """A payload of that length, for timing."""
        return [self._tokenizer.pad_id] * length

    def _watched(self, item: Prepared) -> Prepared:
        return replace(item, payload=reach.Watched(item.payload)) if self._attention else item

    def _without_spans(self, request: InferenceRequest) -> list[Prepared]:
        """The text once more for each span, without it. It counts as read once; the computing is charged as it is."""
        encoding = self._encoding(request)
        shorter = [occlusion.without(encoding.ids, span) for span in occlusion.spans(encoding)]
        return [Prepared(ids, len(ids), 0) for ids in shorter]

    def _encoding(self, request: InferenceRequest) -> Encoding:
        texts = request.inputs.get("texts")
        if not isinstance(texts, list) or len(texts) != 1 or self._scores is _SCORES["regression"]:
            raise Refused(ErrorType.INVALID_REQUEST, "explain: takes one text, of a model that names labels")
        return self._tokenizer.encode(texts[0], cut=bool(request.inputs.get("truncate")))

    def _finish(self, logits: Vectors, lengths: NDArray[np.int64]) -> list[Any]:
        if logits.shape != (len(lengths), len(self._labels)):
            raise ValueError(f"{len(self._labels)} labels do not fit an output of {logits.shape}")
        return list(self._scores(logits))

    def _best(self, scores: Vectors, top_k: int) -> list[dict[str, Any]]:
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [{"label": self._labels[place], "score": float(scores[place])} for place in order]


def load_engine(
    artifact: Path, spec: RevisionSpec, sink: Sink, machine: Machine, progress: Progress = silent
) -> EncoderEngine:
    """A warm engine, not yet started. Raises BackendError."""
    return load_encoder(TextClassification(artifact, spec), artifact, spec, sink, machine, progress)
