"""zero-shot-image-classification: texts and pictures to vectors of one space (CLIP, SigLIP and their kin).

Inputs {"texts": [str]} as in feature-extraction, or {"images": [base64]} as in image-feature-extraction. RESULT as
there, of vectors of length one, with "logit_scale" and "logit_bias": the logit of a pair is scale x cosine + bias.
Inputs with both are pairs for the bridge (bridge.py), where the artifact has one.

The manifest names a graph for each part under "models": "text", "image" and perhaps "bridge"; "inputs" and "outputs"
have the same keys.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import fields
from pathlib import Path
from typing import Any

from tokenizers import Encoding

from contracts.messages import InferenceRequest, Outcome, RevisionSpec
from workers.backends.base import BackendError
from workers.backends.encoder import EncoderBackend
from workers.engine.encoder import EncoderEngine, EncoderStats, Prepared
from workers.engine.output import Sink

from .bridge import Bridge
from .encoder_loading import Machine, Progress, load_encoder, silent
from .feature_extraction import FeatureExtraction
from .image_feature_extraction import ImageFeatureExtraction, ImageLane
from .manifest import read_manifest, require
from .text_encoder import TextLane

TASK = "zero-shot-image-classification"


class Towers:
    """An engine for each part, behind the verbs of one. A request goes to the part that its inputs name, or `always` to
    the same one."""

    def __init__(self, parts: dict[str, EncoderEngine], always: str = "") -> None:
        self._parts, self._always = parts, always

    def submit(self, request: InferenceRequest) -> Future[Outcome]:
        """As EncoderEngine.submit; what names neither side is refused as the text that it lacks."""
        return self._parts[self._always or self._part_of(request.inputs)].submit(request)

    def _part_of(self, inputs: dict[str, Any]) -> str:
        if "images" not in inputs:
            return "text"
        return "bridge" if "texts" in inputs and "bridge" in self._parts else "image"

    def abort(self, request_id: str) -> bool:
        return any(part.abort(request_id) for part in self._parts.values())

    def stats(self) -> EncoderStats:
        """Of all together."""
        every = [part.stats() for part in self._parts.values()]
        sums: dict[str, Any] = {
            field.name: sum(getattr(one, field.name) for one in every) for field in fields(EncoderStats)
        }
        return EncoderStats(**sums)

    def busy_since(self) -> float:
        """Of the part that is at it longest."""
        return min((since for part in self._parts.values() if (since := part.busy_since())), default=0.0)

    def start(self) -> None:
        for part in self._parts.values():
            part.start()

    def close(self, drain: bool = True) -> None:
        """The bridge, which uses the sessions of the others, first."""
        for part in reversed(self._parts.values()):
            part.close(drain)


class TextTower(FeatureExtraction):
    """A model that reads its padding (SigLIP) says on which side that stands, `padding_side`, and is given all of it.
    `backend` is one of those that the lanes use, once they are open."""

    backend: EncoderBackend

    def lane(self, backend: EncoderBackend) -> TextLane:
        self.backend = backend
        return super().lane(backend)

    def encode(self, text: str) -> Encoding:
        """Of the beginning that the model reads."""
        return self._tokenizer.encode(text, cut=True)

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
    backend: EncoderBackend

    def lane(self, backend: EncoderBackend) -> ImageLane:
        self.backend = backend
        return super().lane(backend)

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
) -> Towers:
    """All parts warm, not yet started. Raises BackendError."""
    return Towers(load_parts(read_manifest(artifact, TASK), artifact, spec, sink, machine, progress))


def load_parts(
    manifest: dict[str, Any], artifact: Path, spec: RevisionSpec, sink: Sink, machine: Machine, progress: Progress
) -> dict[str, EncoderEngine]:
    """The towers, and behind them the bridge where there is one."""
    require(manifest, "models", "inputs", "outputs", "dimensions", "logit_scale")
    text = TextTower(artifact, spec, tower(manifest, "text"))
    image = ImageTower(artifact, spec, tower(manifest, "image"))
    parts: dict[str, Any] = {"text": text, "image": image}
    if "bridge" in manifest["models"]:
        parts["bridge"] = Bridge(manifest, text, image)

    def share(number: int) -> Progress:
        return lambda state, fraction: progress(state, (number + fraction) / len(parts))

    return {
        name: load_encoder(part, artifact, spec, sink, machine, share(number))
        for number, (name, part) in enumerate(parts.items())
    }
