"""The curve of a training, as a job tells it, and the folder that its attempts go on from."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workers.jobs.report import Report
from workers.training.checkpoint import read_checkpoint
from workers.training.loop import State
from workers.training.progress import Said

TRAINING = 0.8  # of the whole job
_POINTS = 300  # of a curve, at most, and as many evaluations


class Curve:
    """Tells evenly spaced steps of a run and evenly spaced evaluations."""

    def __init__(self, config: Any, report: Report) -> None:
        options = config.options
        self._report, self._steps = report, options.steps
        self._every = -(-options.steps // _POINTS)
        evaluations = -(-options.steps // options.evaluate_every)
        self._evaluation_every = -(-evaluations // _POINTS) * options.evaluate_every
        self._ranks: dict[int, dict[str, Any]] = {}

    def hear(self, row: dict[str, Any]) -> None:
        """What a process of a mesh does; the next point carries it."""
        self._ranks[row["rank"]] = row

    def say(self, said: Said) -> None:
        for row in said.ranks:
            self.hear(row)
        pace = {"rate": round(said.rate, 3), "seconds_left": round(said.seconds_left)}
        self._tell(said.step, said.loss, said.figures, pace)

    def go_on(self, run: Path) -> None:
        """Say once more what an earlier attempt has told, if it has left a checkpoint."""
        if before := read_checkpoint(run):
            state = State(**before["state"])
            print(f"Goes on from step {state.step} of {self._steps}.", flush=True)
            self.repeat(state)

    def repeat(self, state: State) -> None:
        """What an earlier attempt has told."""
        figures = {int(one["step"]): one for one in state.evaluations}
        for step, loss in enumerate(state.losses, start=1):
            self._tell(step, loss, figures.get(step, {}), {})

    def _tell(self, step: int, loss: float, figures: dict[str, float], pace: dict[str, float]) -> None:
        is_last = step == self._steps
        is_evaluation = bool(figures) and (step % self._evaluation_every == 0 or is_last)
        if is_evaluation or is_last or step % self._every == 0:
            more: dict[str, Any] = {"step": step, "steps": self._steps, "loss": round(loss, 5), **pace,
                    "figures": figures if is_evaluation else {}}  # fmt: skip
            if self._ranks:
                more["ranks"] = [self._ranks[rank] for rank in sorted(self._ranks)]
            self._report.progress("training", TRAINING * step / self._steps, **more)


def run_name(config: Any) -> str:
    """Another configuration, of another release perhaps, begins anew."""
    return hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()[:16]
