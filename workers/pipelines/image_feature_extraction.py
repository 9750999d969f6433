"""image-feature-extraction: pictures to vectors.

Inputs {"images": [base64 of a JPEG, PNG, WebP, GIF or BMP file]}; "crops": for each of them none, or the part that is
looked at as [left, top, right, bottom] in shares of its width and height; "dimensions" as in feature-extraction.
RESULT as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contracts.messages import ErrorType, InferenceRequest, RevisionSpec
from workers.backends.base import BackendError
from workers.backends.encoder import EncoderBackend
from workers.engine.encoder import EncoderEngine, Prepared
from workers.engine.intake import Refused
from workers.engine.output import Sink

from .encoder_loading import Machine, Progress, load_encoder, silent
from .image_processor import ImageProcessor, Pixels, cropped, decode
from .manifest import read_manifest, require
from .pooling import normalized, pool
from .vectors import VectorAnswer

TASK = "image-feature-extraction"


class ImageLane:
    """Stacks pictures of one size, runs them, makes one vector of each."""

    def __init__(self, backend: EncoderBackend, pooling: str, normalize: bool) -> None:
        if len(backend.input_types) != 1:
            raise BackendError(f"The graph wants {', '.join(backend.input_types)}; one input for pictures was expected")
        ((self._name, self._type),) = backend.input_types.items()
        self._backend = backend
        self._pooling = pooling
        self._normalize = normalize

    def run(self, payloads: Sequence[Pixels]) -> list[Any]:
        output = self._backend.run({self._name: np.stack(payloads).astype(self._type, copy=False)})
        places = np.full(len(payloads), output.shape[1], np.int64)  # every patch is real
        vectors = pool(output, places, self._pooling)
        return list(normalized(vectors) if self._normalize else vectors)

    def pin(self) -> None:
        self._backend.pin()

    def close(self) -> None:
        self._backend.close()


class ImageFeatureExtraction:
    """The pipeline of one artifact. Raises BackendError when its manifest does not do."""

    max_length = 1  # pictures all cost the same

    def __init__(self, artifact: Path, spec: RevisionSpec, manifest: dict[str, Any] | None = None) -> None:
        manifest = manifest or read_manifest(artifact, TASK)
        require(manifest, "model", "processor", "pooling", "normalize", "dimensions")
        if manifest["pooling"] not in ("none", "cls", "mean"):
            raise BackendError(f"The manifest asks for pooling {manifest['pooling']}; known: none, cls, mean")
        try:
            self._processor = ImageProcessor(manifest["processor"])
        except (ValueError, KeyError) as error:
            raise BackendError(f"The manifest's processor cannot be used: {error}") from error
        self.manifest = manifest
        self._pooling = manifest["pooling"]
        self._normalize = bool(manifest["normalize"])
        self._answer = VectorAnswer(self._normalize, manifest["dimensions"])

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        self._answer.check(request)
        images = request.inputs.get("images")
        if not isinstance(images, list) or not images or not all(isinstance(image, str) for image in images):
            raise Refused(ErrorType.INVALID_REQUEST, "images: must be a list of base64 strings", param="images")
        crops = request.inputs.get("crops", [None] * len(images))
        if not isinstance(crops, list) or len(crops) != len(images):
            raise Refused(ErrorType.INVALID_REQUEST, "crops: must be as many as the images", param="crops")
        parts = [
            cropped(decode(image, index), crop, index)
            for index, (image, crop) in enumerate(zip(images, crops, strict=True))
        ]
        return [Prepared(self._processor(part), 1, 0) for part in parts]

    def answer(self, request: InferenceRequest, results: list[Any]) -> dict[str, Any]:
        return self._answer(request, results)

    def lane(self, backend: EncoderBackend) -> ImageLane:
        return ImageLane(backend, self._pooling, self._normalize)

    def probe(self, length: int) -> Pixels:
        """A payload, for timing."""
        return np.zeros((3, *self._processor.shape), np.float32)


def load_engine(
    artifact: Path, spec: RevisionSpec, sink: Sink, machine: Machine, progress: Progress = silent
) -> EncoderEngine:
    """A warm engine, not yet started. Raises BackendError."""
    return load_encoder(ImageFeatureExtraction(artifact, spec), artifact, spec, sink, machine, progress)
