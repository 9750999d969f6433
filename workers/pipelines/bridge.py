"""Pairs of a picture and a text through a bridge (docs/training.md): whether they belong together, where each word
looks, and what the answer is.

Inputs {"images": [base64], "texts": [str]}: as many texts as pictures, or one for all. "explain" takes one pair apart.
RESULT {"matches": [logit]}, with "answers" [[label, share]], the best first, of each pair where the model has answers.
Explained, it also has "grid" and "words" [{start, end, weight, map}]: characters of the text, by how much the logit (of
the match, or of the best answer) falls when they are left out, and shares of grid x grid places, row by row.

The towers' own sessions are used for both sides: a session may run in several threads, and its weights are there once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.messages import ErrorType, InferenceRequest
from workers.backends.encoder import EncoderBackend
from workers.engine.encoder import Prepared
from workers.engine.intake import Refused

from .image_processor import Pixels
from .occlusion import Span, spans, without
from .text_classification import softmax
from .text_encoder import TextLane, TokenIds

_ANSWERS = 5  # that are told


@dataclass(frozen=True, slots=True)
class Pair:
    ids: TokenIds
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Fused:
    """Of one pair. looked [T, P]; answers [labels], without any where the model has none."""

    match: float
    looked: NDArray[np.float32]
    answers: NDArray[np.float32]

    @property
    def logit(self) -> float:
        """What an explanation is of."""
        return float(self.answers.max()) if self.answers.size else self.match


class Bridge:
    """The pipeline over both towers of one artifact, whose sessions are open."""

    def __init__(self, manifest: dict[str, Any], text: Any, image: Any) -> None:
        own = {part: manifest[part]["bridge"] for part in ("inputs", "outputs")}
        self.manifest = {**manifest, **own, "model": manifest["models"]["bridge"]}
        self.max_length = text.max_length
        self._text, self._image = text, image
        self._labels: list[str] = list(manifest.get("labels", []))

    def prepare(self, request: InferenceRequest) -> list[Prepared]:
        """The pairs; explained, the pair and then the same without each span of words."""
        pictures = [one.payload for one in self._image.prepare(request)]
        rows = [one.payload for one in self._text.prepare(request)]
        if len(rows) not in (1, len(pictures)):
            message = f"texts: must be one, or as many as the {len(pictures)} images"
            raise Refused(ErrorType.INVALID_REQUEST, message, param="texts")
        if request.inputs.get("explain"):
            if len(pictures) != 1:
                raise Refused(ErrorType.INVALID_REQUEST, "explain: takes one picture and one text", param="explain")
            rows += [without(rows[0], span) or self._text.probe(1) for span in self._spans(request)]
        if len(rows) != len(pictures):
            count = max(len(rows), len(pictures))
            rows, pictures = (side * count if len(side) == 1 else side for side in (rows, pictures))
        pairs = [Pair(ids, pixels) for ids, pixels in zip(rows, pictures, strict=True)]
        return [Prepared(pair, len(pair.ids), len(pair.ids)) for pair in pairs]

    def answer(self, request: InferenceRequest, results: list[Fused]) -> dict[str, Any]:
        asked = results[: len(request.inputs["images"])]
        found: dict[str, Any] = {"matches": [round(one.match, 5) for one in asked]}
        if self._labels:
            found["answers"] = [self._best(one) for one in asked]
        if request.inputs.get("explain"):
            found |= {"grid": self.manifest["bridge"]["grid"], "words": self._words(request, results)}
        return found

    def lane(self, backend: EncoderBackend) -> BridgeLane:
        return BridgeLane(backend, self._text.lane(self._text.backend), self._text.backend, self._image.backend)

    def probe(self, length: int) -> Pair:
        """A payload, for timing."""
        return Pair(self._text.probe(length), self._image.probe(1))

    def _spans(self, request: InferenceRequest) -> list[Span]:
        return spans(self._text.encode(request.inputs["texts"][0]))

    def _words(self, request: InferenceRequest, results: list[Fused]) -> list[dict[str, Any]]:
        whole, *lacking = results
        best = int(whole.answers.argmax()) if whole.answers.size else None
        rows = []
        for span, one in zip(self._spans(request), lacking, strict=True):
            left = one.match if best is None else float(one.answers[best])
            looked = whole.looked[span.first : span.last].mean(0)
            rows.append({
                "start": span.start, "end": span.end, "weight": round(whole.logit - left, 4),
                "map": [round(float(share), 4) for share in looked],
            })  # fmt: skip
        return rows

    def _best(self, one: Fused) -> list[list[Any]]:
        shares = softmax(one.answers[None])[0]
        places = np.argsort(-shares)[:_ANSWERS]
        return [[self._labels[place], round(float(shares[place]), 4)] for place in places]


class BridgeLane:
    """Each text and each picture of a batch goes through its tower once, each pair through the bridge."""

    def __init__(self, bridge: EncoderBackend, text: TextLane, words: EncoderBackend, places: EncoderBackend) -> None:
        self._bridge, self._text, self._words, self._places = bridge, text, words, places
        (self._pixels,) = places.input_types.items()

    def run(self, payloads: Sequence[Pair]) -> list[Fused]:
        texts, text_of = _once([pair.ids for pair in payloads], tuple)
        pictures, picture_of = _once([pair.pixels for pair in payloads], id)
        feeds = self._text.feeds(texts)
        name, kind = self._pixels
        _, words = self._words.run_with(feeds, "text_parts")
        _, places = self._places.run_with({name: np.stack(pictures).astype(kind, copy=False)}, "image_parts")
        pairs = {
            "text_parts": words[text_of], "image_parts": places[picture_of],
            "attention_mask": feeds["attention_mask"][text_of],
        }  # fmt: skip
        types = self._bridge.input_types
        others = [one for one in ("looked", "answers") if one in self._bridge.output_names]
        match, looked, *answers = self._bridge.run_with(
            {key: np.ascontiguousarray(value, types[key]) for key, value in pairs.items()}, *others
        )
        none = np.zeros((len(payloads), 0), np.float32)
        return [Fused(float(match[n]), looked[n], (answers[0] if answers else none)[n]) for n in range(len(payloads))]

    def pin(self) -> None:
        self._bridge.pin()

    def close(self) -> None:
        self._bridge.close()


def _once(things: Sequence[Any], key: Any) -> tuple[list[Any], list[int]]:
    """Those that differ, and which of them each is."""
    places: dict[Any, int] = {}
    found = []
    for thing in things:
        if key(thing) not in places:
            places[key(thing)] = len(found)
            found.append(thing)
    return found, [places[key(thing)] for thing in things]
