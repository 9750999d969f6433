"""What two lanes are measured by, ready for a table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.chat.models import Lane


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    is_best: bool


@dataclass(frozen=True, slots=True)
class Measure:
    name: str
    cells: list[Cell]


def measures(lanes: list[Lane]) -> list[Measure]:
    """One row per figure; a figure that was not measured leaves its cell empty."""
    usage = [lane.usage for lane in lanes]

    def numbers(name: str) -> list[float | None]:
        return [each.get(name) for each in usage]

    return [
        _row(_("First token"), numbers("time_to_first_token"), _seconds, min),
        _row(_("Tokens a second"), [lane.tokens_per_second for lane in lanes], "{:.1f}".format, max),
        _row(_("Tokens"), numbers("completion_tokens"), "{:,}".format, None),
        _row(_("Words"), [len(lane.text.split()) for lane in lanes], "{:,}".format, None),
        _row(_("Compute"), numbers("compute_seconds"), _seconds, min),
        _row(_("Waited in the queue"), numbers("queue_time"), _seconds, min),
        _row(_("Prompt tokens from cache"), numbers("cached_tokens"), "{:,}".format, None),
    ]


def _row(
    name: str, values: list[Any], write: Callable[[Any], str], better: Callable[[list[Any]], Any] | None
) -> Measure:
    known = [value for value in values if value is not None]
    texts = ["" if value is None else write(value) for value in values]
    differ = len(known) > 1 and len(set(texts)) > 1  # what reads the same is not better
    best = better(known) if better and differ else None
    cells = [Cell(text, best is not None and value == best) for text, value in zip(texts, values, strict=True)]
    return Measure(name, cells)


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
