"""Killed processes of a mesh: training goes on by itself with the same losses (v3_recovery.json).

python -m benchmarks.v3_recovery [--kills 10] [--mesh 2,2,2] [--then 1,2,2] [--out FILE]

A tiny model trains undisturbed, then again while random ranks get kill -9 at random steps, in turn at any moment and
right after a checkpoint has begun to be written. `seconds` is from the kill to the next step that is done, `repeated`
the steps done twice. `--then`: half of the steps on the first mesh, the rest on another.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_SIZES = ["length=64", "batch_size=8"]  # of v3.shakespeare; small, as all processes share a machine's cores
_PATIENCE = 240.0  # seconds without a step until a run counts as stuck


@dataclass(frozen=True, slots=True)
class Run:
    folder: Path
    mesh: str
    steps: int
    every: int
    """Steps between checkpoints."""
    stop_at: int = 0
    """Step that another run goes on from."""

    @property
    def changes(self) -> list[str]:
        return [*_SIZES, f"steps={self.steps}", f"checkpoint_every={self.every}"]

    def start(self, restarts: int = 0) -> subprocess.Popen[bytes]:
        dp, pp, ep = (int(one) for one in self.mesh.split(","))
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
                   str(dp * pp * ep), "--max-restarts", str(restarts), "--monitor-interval", "0.2", "-m",
                   "workers.training.parallel", "--recipe", "v3.shakespeare", "--out", str(self.folder), "--mesh",
                   self.mesh, "--progress", "none", "--timeout", "60", "--set", *self.changes]  # fmt: skip
        if self.stop_at:
            command[command.index("--set") : command.index("--set")] = ["--stop-at", str(self.stop_at)]
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=log, stderr=log)

    def lines(self) -> list[dict[str, Any]]:
        path = self.folder / "steps.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()[-4000:]


def finish(run: Run, process: subprocess.Popen[bytes]) -> dict[int, float]:
    """Waits for the end; the losses by step. Raises AssertionError with the end of the log."""
    assert process.wait(timeout=1800) == 0, run.log()
    return {line["step"]: line["loss"] for line in run.lines()}


def disturb(run: Run, process: subprocess.Popen[bytes], kills: int, source: random.Random) -> list[dict[str, Any]]:
    """kill -9 of a random rank, `kills` times."""
    found = []
    apart = run.steps // (kills + 1)
    for number in range(kills):
        wanted = (number + 1) * apart + source.randrange(max(1, apart // 2))
        is_saving = number % 2 == 1
        if is_saving:
            wanted = -(-wanted // run.every) * run.every  # the checkpoint of this step has just begun
        _wait(run, process, lambda lines, wanted=wanted: lines and lines[-1]["step"] >= wanted)
        if not is_saving:
            time.sleep(source.random() * 0.5)
        found.append(_kill(run, process, source) | {"while_saving": is_saving})
    return found


def _kill(run: Run, process: subprocess.Popen[bytes], source: random.Random) -> dict[str, Any]:
    ranks = [child for child in psutil.Process(process.pid).children() if "workers.training.parallel" in _said(child)]
    before, killed = run.lines(), time.time()
    source.choice(ranks).send_signal(signal.SIGKILL)
    # A step may end while its processes do; the next is the first of those that were started again.
    pids = {child.pid for child in ranks}
    _wait(run, process, lambda lines: not any(psutil.pid_exists(pid) and _lives(pid) for pid in pids))
    done = len(run.lines())
    _wait(run, process, lambda lines: len(lines) > done)
    lines = run.lines()
    return {
        "after_step": before[-1]["step"], "seconds": round(lines[done]["time"] - killed, 2),
        "repeated": lines[done - 1]["step"] - lines[done]["step"] + 1,
    }  # fmt: skip


def _said(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _wait(run: Run, process: subprocess.Popen[bytes], until: Any) -> None:
    gives_up = time.monotonic() + _PATIENCE
    while not until(run.lines()):
        assert process.poll() is None, run.log()
        assert time.monotonic() < gives_up, run.log()
        time.sleep(0.05)


def resharded(folder: Path, meshes: tuple[str, str], steps: int) -> dict[int, float]:
    """Losses of a training whose second half another mesh has done."""
    half = Run(folder, meshes[0], steps, steps // 2, stop_at=steps // 2)
    finish(half, half.start())
    rest = Run(folder, meshes[1], steps, steps // 2)
    return finish(rest, rest.start())


def difference(losses: dict[int, float], others: dict[int, float]) -> float:
    """Largest of any step."""
    assert losses.keys() == others.keys()
    return max(abs(loss - others[step]) for step, loss in losses.items())


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


def main() -> int:
    parser = argparse.ArgumentParser(description="Kills processes of a mesh.")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=220)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--mesh", default="2,2,2")
    parser.add_argument("--then", default="1,2,2")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/v3_recovery.json"))
    arguments = parser.parse_args()
    from benchmarks.environment import commit, environment

    with tempfile.TemporaryDirectory() as work:
        quiet = Run(Path(work) / "quiet", arguments.mesh, arguments.steps, arguments.every)
        losses = finish(quiet, quiet.start())
        hit = Run(Path(work) / "hit", arguments.mesh, arguments.steps, arguments.every)
        process = hit.start(restarts=arguments.kills + 2)
        kills = disturb(hit, process, arguments.kills, random.Random(0))
        after = difference(losses, finish(hit, process))
        other = resharded(Path(work) / "fewer", (arguments.mesh, arguments.then), arguments.steps)
        back = resharded(Path(work) / "more", (arguments.then, arguments.mesh), arguments.steps)
    seconds = [kill["seconds"] for kill in kills]
    content = {
        "summary": {
            "kills": len(kills), "recovered": len(kills), "seconds_p95": percentile(seconds, 0.95),
            "seconds_median": percentile(seconds, 0.5), "steps_repeated_max": max(kill["repeated"] for kill in kills),
            "checkpoint_every": arguments.every, "loss_difference": after,
            "loss_difference_fewer_ranks": difference(losses, other),
            "loss_difference_more_ranks": difference(losses, back),
        },
        "details": kills, "command": "python -m benchmarks.v3_recovery",
        "environment": environment(("torch",)), "commit": commit(),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["summary"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
