"""Runs the heavy steps of an export as processes, and tells how far they are."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .source import ExportError

Progress = Callable[[str, float], None]  # stage, fraction of the whole


@dataclass(frozen=True, slots=True)
class Stage:
    """`begin` and `end` are fractions of the whole export, `seconds` what it usually takes."""

    name: str
    begin: float
    end: float
    seconds: float

    def fraction(self, elapsed: float) -> float:
        """Moves on while the process is silent, and never arrives before it does."""
        share = elapsed / (elapsed + self.seconds / 3)
        return self.begin + (self.end - self.begin) * share


LOAD = Stage("reading weights", 0.02, 0.35, 25)
BUILD = Stage("building the graph", 0.35, 0.65, 20)
CHECK = Stage("checking against the original", 0.65, 0.95, 25)
FINISH = Stage("writing the manifest", 0.95, 1.0, 1)


def run_stage(
    stage: Stage, arguments: list[str], log: Path, progress: Progress, echo: Callable[[str], None] = lambda text: None
) -> None:
    """`python -m arguments...`; raises ExportError with the last line of its output. `echo` hears the output."""
    # Without setpriv a killed export leaves its step to finish alone.
    setpriv = shutil.which("setpriv")
    command = [*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []), sys.executable, "-m", *arguments]
    with log.open("w") as output, log.open(errors="replace") as written:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        started = time.monotonic()
        try:
            while process.poll() is None:
                progress(stage.name, stage.fraction(time.monotonic() - started))
                echo(written.read())
                time.sleep(0.2)
            echo(written.read())
        except BaseException:
            process.kill()
            process.wait()
            raise
    if process.returncode:
        raise ExportError(_reason(stage, process.returncode, log))


def _reason(stage: Stage, code: int, log: Path) -> str:
    if code == -9:
        return f"The system stopped the step '{stage.name}', most likely for lack of memory (2 GB are needed)."
    text = log.read_text(errors="replace")
    if "No space left on device" in text:
        return f"The disk is full: the step '{stage.name}' could not write its files."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"The step '{stage.name}' failed: {lines[-1] if lines else f'exit code {code}'}"
