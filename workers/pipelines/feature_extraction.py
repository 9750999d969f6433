"""feature-extraction: texts to vectors.

Inputs {"texts": [str]} or {"token_ids": [[int]]}, "truncate" (bool), "dimensions" (int: the first so many
numbers of each vector, of length one again where the model normalises; only models trained for it keep their
quality). RESULT {"embeddings": base64 of little-endian float32 [count, dimensions], "count", "dimensions"}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.messages import InferenceRequest, RevisionSpec
from workers.backends.base import BackendError
from workers.backends.encoder import EncoderBackend
from workers.engine.encoder import EncoderEngine, Prepared
from workers.engine.output import Sink

from .encoder_loading import Machine, Progress, load_encoder, silent
from .manifest import read_manifest, require
from .pooling import POOLINGS, Vectors, normalized, pool
from .text_encoder import TextLane, TextTokenizer
from .vectors import VectorAnswer

TASK = "feature-extraction"


class FeatureExtraction:
    """The pipeline of one artifact. Raises BackendError when its manifest does not do."""

    def __init__(self, artifact: Path, spec: RevisionSpec, manifest: dict[str, Any] | None = None) -> None:
        manifest = manifest or read_manifest(artifact, TASK)
        require(manifest, "model", "max_length", "pooling", "normalize", "dimensions")
        if manifest["pooling"] not in POOLINGS:
            raise BackendError(f"The manifest asks for pooling {manifest['pooling']}; known: {', '.join(POOLINGS)}")
        self.manifest = manifest
        self.max_length = min(manifest["max_length"], spec.context_length)
        self._pooling = manifest["pooling"]
        self._normalize = bool(manifest["normalize"])
        self._tokenizer = TextTokenizer(artifact, manifest, self.max_length)
        self._answer = VectorAnswer(self._normalize, manifest["dimensions"])

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        self._answer.check(request)
        return self._tokenizer.prepare(request.inputs)

    def answer(self, request: InferenceRequest, results: list[Any]) -> dict[str, Any]:
        return self._answer(request, results)

    def lane(self, backend: EncoderBackend) -> TextLane:
        return TextLane(backend, self._tokenizer.pad_id, self._finish)

    def probe(self, length: int) -> list[int]:
        """A payload of that length, for timing."""
        return [self._tokenizer.pad_id] * length

    def _finish(self, hidden: Vectors, lengths: NDArray[np.int64]) -> list[Any]:
        vectors = pool(hidden, lengths, self._pooling)
        return list(normalized(vectors) if self._normalize else vectors)


def load_engine(
    artifact: Path, spec: RevisionSpec, sink: Sink, machine: Machine, progress: Progress = silent
) -> EncoderEngine:
    """A warm engine, not yet started. Raises BackendError."""
    return load_encoder(FeatureExtraction(artifact, spec), artifact, spec, sink, machine, progress)
