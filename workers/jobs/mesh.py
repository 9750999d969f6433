"""A training on a mesh of processes, as its job follows it: begun under torchrun, heard, ended with the job.

torchrun starts what has died again (workers/training/parallel), at most RESTARTS times. Each of its processes is in a
session of its own, so each asks the kernel to be killed with its parent; torchrun asks for the same.
"""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from contracts.mixture import Layout, Plan, fullest, undivided
from workers.jobs.curve import Curve
from workers.jobs.process import dies_with_parent
from workers.jobs.report import JobError
from workers.training.loop import State
from workers.training.moe import MoeConfig, load_text
from workers.training.parallel.checkpoint import published
from workers.training.plan import of_recipe
from workers.training.progress import Said

RESTARTS = 3
_BEFORE = 0.35e9  # bytes of a process before it has a model
_GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536"}  # as the plan was calibrated


@dataclass(frozen=True, slots=True)
class Wanted:
    """The argument `mesh` of the job."""

    layout: Layout
    micro_batches: int

    @classmethod
    def of(cls, given: dict[str, int]) -> "Wanted":
        return cls(Layout(given["dp"], given["pp"], given["ep"]), given["micro_batches"])


def check(config: MoeConfig, wanted: Wanted, cores: int, free: int) -> None:
    """Raises JobError, before anything is begun, with what would do."""
    job, layout = of_recipe(config), wanted.layout
    plan = Plan(layout, wanted.micro_batches, config.options.checkpointing)
    if wrong := undivided(job, plan):
        raise JobError(f"The mesh cannot be: {wrong} does not divide what it has to.")
    if layout.processes > cores:
        raise JobError(
            f"The mesh has {layout.processes} processes, this machine {cores} cores. Take a mesh of at most as many."
        )
    needed = layout.processes * fullest(job, plan, _BEFORE).total
    if needed > free:
        raise JobError(
            f"The mesh needs about {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free. Take fewer processes or more "
            "micro-batches."
        )


def train(config: MoeConfig, recipe: str, changes: dict[str, Any], wanted: Wanted, run: Path, curve: Curve) -> None:
    """From the beginning, or on from the newest checkpoint of the run. Raises DataMissing, JobError."""
    load_text()  # what is missing is said once, and not by each process after each restart
    before = earlier(run)
    if before.step:
        print(f"Goes on from step {before.step} of {config.options.steps}.", flush=True)
        curve.repeat(before)
    environment = os.environ | _GIVES_BACK | {"OMP_NUM_THREADS": str(max(1, _cores() // wanted.layout.processes))}
    process = subprocess.Popen(
        _command(recipe, changes, wanted, run), env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        _follow(process.stdout, before.step, curve)
        code = process.wait()
    finally:
        end_tree(process.pid)
        process.wait()
    if code:
        raise JobError(f"The mesh ended with exit code {code} after {RESTARTS} restarts; the end of the log says why.")


def earlier(run: Path) -> State:
    """The losses up to the newest checkpoint that an attempt has left."""
    checkpoints = published(run / "checkpoints")
    if not checkpoints:
        return State()
    last = int(checkpoints[-1].name.removeprefix("step-"))
    found: dict[int, float] = {}
    for line in (run / "steps.jsonl").read_text().splitlines():
        with contextlib.suppress(ValueError):  # of a process that was killed as it wrote
            one = json.loads(line)
            found[one["step"]] = one["loss"]
    return State(last, [found[step] for step in range(1, last + 1) if step in found])


def end_tree(pid: int) -> None:
    """Kill a process and all below it, whatever sessions they are in."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [*root.children(recursive=True), root]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _command(recipe: str, changes: dict[str, Any], wanted: Wanted, run: Path) -> list[str]:
    layout = wanted.layout
    sets = [f"{name}={value}" for name, value in changes.items()]
    return [
        *dies_with_parent(), sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(layout.processes), "--max-restarts", str(RESTARTS), "--no-python",
        *dies_with_parent(), sys.executable, "-m", "workers.training.parallel", "--recipe", recipe, "--out", str(run),
        "--mesh", f"{layout.dp},{layout.pp},{layout.ep}", "--micro-batches", str(wanted.micro_batches),
        "--progress", "lines", *(["--set", *sets] if sets else []),
    ]  # fmt: skip


def _follow(lines: Any, last: int, curve: Curve) -> None:
    """Steps that are repeated after a restart have been told: their losses are the same."""
    for line in lines:
        told = _told(line)
        if told is None:
            print(line, end="", flush=True)
        elif "rank" in told:
            curve.hear(told)
        elif told["step"] > last or told["figures"]:
            last = told["step"]
            curve.say(Said(**told))


def _told(line: str) -> dict[str, Any] | None:
    """What a process says of itself or of a step; None for everything else that is written there."""
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict) and "step" in found and ("rank" in found or "figures" in found):
            return found
    return None


def _cores() -> int:
    return len(os.sched_getaffinity(0))
