"""Our own figures, as the benchmarks wrote them: the advisor says nothing that was not measured."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings

FOLDER = settings.BASE_DIR / "benchmarks" / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` as people read it; `command` measured it."""

    name: str
    value: str
    file: str
    command: str


def figure(name: str, file: str, place: str, unit: str = "%s") -> Figure | None:
    """What stands in a result file at a place such as `summary.accuracy`; None where this installation has no such
    file, or nothing stands there yet."""
    found: Any = results(file)
    command = str(found.get("command", ""))
    for key in place.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, int | float):
        return None
    return Figure(name, unit % _readable(found), file, command)


@cache
def results(file: str) -> dict[str, Any]:
    try:
        found = json.loads((FOLDER / f"{file}.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _readable(value: float) -> str:
    """Three digits, and all of a whole number."""
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
