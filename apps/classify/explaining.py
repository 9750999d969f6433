"""An answer as the page shows it: classes with bars, the text in pieces with their weight, where the time went."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.serving.requests import Transcript
from contracts.messages import InferenceRequest

_STRIP, _GAP = 7, 6  # pixels: height of a head, space between layers
_SHADES = 8
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
class Strip:
    """What one head asked for along the text: runs of equal reach, (x, width, opacity) in per cent of the text."""

    y: int
    runs: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far each layer and head looked. Layers are bands of strips, one strip a head."""

    tokens: int
    keys: float
    layers: list[tuple[int, list[Strip]]]  # y of the label, strips
    height: int

    @property
    def share(self) -> float:
        """Of all pairs of tokens, those that were compared."""
        return self.keys / self.tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """`labels` are [{label, score}], highest first; `timing` is in seconds."""

    labels: list[dict[str, Any]]
    pieces: list[Piece]
    explained: str  # the class that the weights are for; empty when it was not asked for
    timing: dict[str, float]
    tokens: int
    batch_size: int
    deployment: str
    reach: Reach | None = None

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
        reach=reach_of(transcript.result.get("attention")),
    )


def reach_of(said: dict[str, Any] | None) -> Reach | None:
    """None for a model whose attention has no range."""
    if not said:
        return None
    layers, y = [], 0
    for heads in said["reach"]:
        strips = [Strip(y + _STRIP * place, _runs(head, said["levels"])) for place, head in enumerate(heads)]
        layers.append((y + _STRIP * len(heads) // 2 + 4, strips))
        y += _STRIP * len(heads) + _GAP
    return Reach(said["tokens"], said["keys"], layers, y - _GAP)


def _runs(levels: list[float], most: int) -> list[tuple[str, str, str]]:
    """Neighbours that ask for about the same are one run."""
    strengths = [round(_SHADES * level / most) if most else 0 for level in levels]
    runs, begin, unit = [], 0, 100 / len(levels)
    for place in range(1, len(levels) + 1):
        if place == len(levels) or strengths[place] != strengths[begin]:
            share = strengths[begin] / _SHADES
            runs.append((f"{begin * unit:.2f}", f"{(place - begin) * unit:.2f}", f"{0.06 + 0.94 * share:.2f}"))
            begin = place
    return runs


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
