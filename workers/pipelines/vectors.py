"""Vectors as they travel: base64 of float32, so that a request's stream stays small."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from contracts.messages import ErrorType, InferenceRequest
from workers.engine.intake import Refused

from .pooling import Vectors, normalized


class VectorAnswer:
    """RESULT {"embeddings", "count", "dimensions"}, cut to the request's `dimensions`."""

    def __init__(self, normalize: bool, width: int = 0) -> None:
        self._normalize = normalize
        self._width = width

    def check(self, request: InferenceRequest) -> None:
        """Raises Refused for dimensions that the model has not."""
        wanted = request.inputs.get("dimensions")
        if wanted is not None and (type(wanted) is not int or not 1 <= wanted <= self._width):
            message = f"dimensions: must be between 1 and {self._width}"
            raise Refused(ErrorType.INVALID_REQUEST, message, param="dimensions")

    def __call__(self, request: InferenceRequest, results: list[Any]) -> dict[str, Any]:
        vectors: Vectors = np.stack(results)
        wanted = request.inputs.get("dimensions")
        if wanted is not None and wanted < vectors.shape[1]:
            vectors = vectors[:, :wanted]
            vectors = normalized(vectors) if self._normalize else vectors
        content = np.ascontiguousarray(vectors, "<f4").tobytes()
        return {
            "embeddings": base64.b64encode(content).decode(),
            "count": len(vectors),
            "dimensions": int(vectors.shape[1]),
        }
