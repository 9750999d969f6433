"""zero-shot-image-classification: texts and pictures to vectors of one space (CLIP, SigLIP and their kin).

Inputs {"texts": [str]} as in feature-extraction, or {"images": [base64]} as in image-feature-extraction. RESULT as
there, of vectors of length one, with "logit_scale" and "logit_bias": the logit of a pair is scale x cosine + bias.

The manifest names a graph for each part under "models": "text" and "image"; "inputs" and "outputs" have the same keys.
A part more, which takes both sides at once (the bridge of V2), is a third entry there and an engine more here.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import fields
from pathlib import Path
from typing import Any

from contracts.messages import InferenceRequest, Outcome, RevisionSpec
from workers.backends.base import BackendError
from workers.engine.encoder import EncoderEngine, EncoderStats, Prepared
from workers.engine.output import Sink

from .encoder_loading import Machine, Progress, load_encoder, silent
from .feature_extraction import FeatureExtraction
from .image_feature_extraction import ImageFeatureExtraction
from .manifest import read_manifest, require

TASK = "zero-shot-image-classification"


class TwoTowers:
    """An engine for each side, behind the verbs of one. A request goes to the side that its inputs name."""

    def __init__(self, text: EncoderEngine, image: EncoderEngine) -> None:
        self._text = text
        self._image = image

    def submit(self, request: InferenceRequest) -> Future[Outcome]:
        """As EncoderEngine.submit; what names neither side is refused as the text that it lacks."""
        return (self._image if "images" in request.inputs else self._text).submit(request)

    def abort(self, request_id: str) -> bool:
        return self._text.abort(request_id) or self._image.abort(request_id)

    def stats(self) -> EncoderStats:
        """Of both together."""
        both = self._text.stats(), self._image.stats()
        sums: dict[str, Any] = {
            field.name: sum(getattr(one, field.name) for one in both) for field in fields(EncoderStats)
        }
        return EncoderStats(**sums)

    def busy_since(self) -> float:
        """Of the side that is at it longest."""
        return min((since for since in (self._text.busy_since(), self._image.busy_since()) if since), default=0.0)

    def start(self) -> None:
        self._text.start()
        self._image.start()

    def close(self, drain: bool = True) -> None:
        self._text.close(drain)
        self._image.close(drain)


class TextTower(FeatureExtraction):
    """A model that reads its padding (SigLIP) says on which side that stands, `padding_side`, and is given all of it."""

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        items = super().prepare(request)
        if side := self.manifest.get("padding_side"):
            length = self.manifest["max_length"]
            items = [Prepared(self._padded(item.payload, side, length), length, item.prompt_tokens) for item in items]
        return items

    def _padded(self, ids: list[int], side: str, length: int) -> list[int]:
        padding = [self._tokenizer.pad_id] * (length - len(ids))
        return padding + ids if side == "left" else ids + padding

    def answer(self, request: InferenceRequest, results: list[Any]) -> dict[str, Any]:
        return super().answer(request, results) | logit_of(self.manifest)


class ImageTower(ImageFeatureExtraction):
    def answer(self, request: InferenceRequest, results: list[Any]) -> dict[str, Any]:
        return super().answer(request, results) | logit_of(self.manifest)


def logit_of(manifest: dict[str, Any]) -> dict[str, float]:
    return {"logit_scale": float(manifest["logit_scale"]), "logit_bias": float(manifest.get("logit_bias", 0.0))}


def tower(manifest: dict[str, Any], side: str) -> dict[str, Any]:
    """The manifest as a pipeline of one graph reads it. Towers end in their projection: there is nothing to pool."""
    for part in ("models", "inputs", "outputs"):
        if side not in manifest[part]:
            raise BackendError(f"The manifest of {manifest.get('name', 'the artifact')} names no {side} under {part}")
    own = {part: manifest[part][side] for part in ("inputs", "outputs")}
    return {**manifest, **own, "model": manifest["models"][side], "pooling": "none", "normalize": True}


def load_engine(
    artifact: Path, spec: RevisionSpec, sink: Sink, machine: Machine, progress: Progress = silent
) -> TwoTowers:
    """Both sides warm, not yet started. Raises BackendError."""
    manifest = read_manifest(artifact, TASK)
    require(manifest, "models", "inputs", "outputs", "dimensions", "logit_scale")
    sides: list[Any] = [
        TextTower(artifact, spec, tower(manifest, "text")),
        ImageTower(artifact, spec, tower(manifest, "image")),
    ]

    def half(number: int) -> Progress:
        return lambda state, fraction: progress(state, (number + fraction) / len(sides))

    text, image = (load_encoder(side, artifact, spec, sink, machine, half(n)) for n, side in enumerate(sides))
    return TwoTowers(text, image)
