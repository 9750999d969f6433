"""An answer as the page shows it: classes with bars, the text in pieces with their weight, where the time went."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.serving.requests import Transcript
from contracts.messages import InferenceRequest

STRENGTHS = 5  # colours from faint to full, each way


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text. `strength` is 1 to STRENGTHS for the class, negative against it, 0 without a say."""

    text: str
    weight: float | None = None
    strength: int = 0

    @property
    def shade(self) -> str:
        """Name of its colour."""
        return f"{'for' if self.strength > 0 else 'against'}-{abs(self.strength)}" if self.strength else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """`labels` are [{label, score}], highest first; `timing` is in seconds."""

    text: str
    labels: list[dict[str, Any]]
    pieces: list[Piece]
    explained: str  # the class that the weights are for; empty when it was not asked for
    timing: dict[str, float]
    tokens: int
    batch_size: int
    deployment: str

    @property
    def timing_rows(self) -> list[tuple[str, float]]:
        """(what, seconds), in the order in which it happened."""
        names = {"prepare": _("Tokenise"), "queue": _("Queue"), "infer": _("Infer"), "compute": _("Compute")}
        return [(name, self.timing[what]) for what, name in names.items()]

    @property
    def strongest(self) -> list[Piece]:
        """The five that had most say, strongest first."""
        told = [piece for piece in self.pieces if piece.strength]
        return sorted(told, key=lambda piece: -abs(piece.weight or 0.0))[:5]


def answer_of(request: InferenceRequest, transcript: Transcript) -> Answer:
    """Of a request that ended with a result."""
    why = transcript.result.get("explanation") or {}
    text = request.inputs["texts"][0]
    outcome = transcript.outcome
    return Answer(
        text=text,
        labels=transcript.result["labels"][0],
        pieces=pieces(text, why.get("spans") or []),
        explained=why.get("label", ""),
        timing={
            "prepare": outcome.get("prepare_time", 0.0),
            "queue": max(0.0, outcome.get("queue_time", 0.0) - outcome.get("prepare_time", 0.0)),
            "infer": outcome.get("duration", 0.0),
            "compute": outcome.get("compute_seconds", 0.0),
        },
        tokens=outcome.get("prompt_tokens", 0),
        batch_size=outcome.get("batch_size", 0),
        deployment=request.deployment,
    )


def pieces(text: str, spans: list[dict[str, Any]]) -> list[Piece]:
    """The whole text in order; what lies between spans has no weight."""
    strongest = max((abs(span["weight"]) for span in spans), default=0.0)
    found, place = [], 0
    for span in spans:
        if span["start"] > place:
            found.append(Piece(text[place : span["start"]]))
        strength = round(STRENGTHS * span["weight"] / strongest) if strongest else 0
        found.append(Piece(text[span["start"] : span["end"]], span["weight"], strength))
        place = span["end"]
    if place < len(text):
        found.append(Piece(text[place:]))
    return found
