"""How far a run is, for a terminal, for a job, for nobody."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Said:
    """After one step. `rate` is steps a second; `figures` those of an evaluation, when there was one; `ranks` what
    processes said of themselves (watch.py)."""

    step: int
    steps: int
    loss: float
    rate: float
    seconds_left: float
    figures: dict[str, float] = field(default_factory=dict)
    ranks: list[dict[str, Any]] = field(default_factory=list)


_LOG_EVERY = 30.0  # seconds, where lines stay

Say = Callable[[Said], None]


def speaker(kind: str, every: float = 2.0) -> Say:
    """`tty` draws a line on the terminal, or writes some into a log; `json` writes one on standard output, at most
    once in `every` seconds, but every evaluation; `lines` writes one for every step. `none` says nothing."""
    write = {"tty": _line, "json": _json, "lines": _json}.get(kind)
    every = _LOG_EVERY if kind == "tty" and not sys.stderr.isatty() else 0.0 if kind == "lines" else every
    last = -every

    def say(said: Said) -> None:
        nonlocal last
        now = time.monotonic()
        if write and (said.figures or said.step == said.steps or now - last >= every):
            last = now
            write(said)

    return say


def _line(said: Said) -> None:
    figures = "".join(f"  {name} {value:.4f}" for name, value in said.figures.items() if name != "step")
    left = f"{said.seconds_left // 60:.0f}:{said.seconds_left % 60:02.0f} left"
    text = f"{said.step}/{said.steps}  loss {said.loss:.4f}  {said.rate:.2f}/s  {left}{figures}"
    if sys.stderr.isatty():
        print(f"\r{text:<100}", end="\n" if said.figures else "", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def _json(said: Said) -> None:
    write_line(asdict(said))


def write_line(content: dict[str, Any]) -> None:
    """In one piece: other processes may write to the same pipe."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()
