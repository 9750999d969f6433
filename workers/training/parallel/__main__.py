"""Trains a mixture of experts on a mesh of processes; what dies is started again and goes on from the last checkpoint.

python -m torch.distributed.run --standalone --nproc-per-node 8 --max-restarts 10 -m workers.training.parallel \
    --recipe v3.shakespeare --out FOLDER --mesh 2,2,2 [--set seed=1] [--micro-batches 2] [--backend gloo|nccl]

FOLDER has `steps.jsonl`, a line for each step that was done (one that is repeated after a restart has several), the
checkpoints, and in the end config.json, best.pt and metrics.json as a run of one process has them. Another mesh may go
on with what one has left.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from workers.data.corpus import DataMissing
from workers.training import moe
from workers.training.characters import bits_of
from workers.training.checkpoint import describe
from workers.training.loop import State
from workers.training.moe import MoeConfig
from workers.training.progress import Said, Say, speaker, write_line
from workers.training.recipe import changed, load_recipe
from workers.training.watch import Watch

from .checkpoint import Checkpoints, published, read_whole
from .link import Link
from .mesh import Layout, join, make_mesh
from .trainer import Trainer, Ways


@dataclass(frozen=True, slots=True)
class Setting:
    layout: Layout
    ways: Ways
    backend: str
    timeout: timedelta
    tells: bool = False
    """Each process writes what it does on standard output, a line a second."""


def train(config: MoeConfig, folder: Path, setting: Setting, say: Say, stop_at: int = 0) -> dict[str, Any]:
    """One process's part, from the beginning or from the newest checkpoint on; the first process returns figures.
    `stop_at` ends the run after that step, with a checkpoint. Raises DataMissing, ValueError."""
    mesh = make_mesh(setting.layout, join(setting.backend, setting.timeout))
    text, is_first = moe.load_text(), dist.get_rank() == 0
    trainer = Trainer(moe.build(config), mesh, config.options, setting.ways, config.length, Link())
    if is_first:
        folder.mkdir(parents=True, exist_ok=True)
        describe(folder, moe.about(config))
    checkpoints = Checkpoints(folder / "checkpoints", setting.timeout)
    state = checkpoints.load(trainer)
    place = {axis: mesh.place(axis) for axis in ("dp", "pp", "ep")}
    watch = Watch(dist.get_rank(), place, trainer.rows * config.length, mesh.device)
    began, before, first = time.monotonic(), state.seconds, state.step
    last = stop_at or config.options.steps
    while state.step < last:
        loss = trainer.step(state.step, moe.batch_of(text, config, state.step))
        if not math.isfinite(loss):
            raise ArithmeticError(f"The loss is {loss} in step {state.step}: lower the learning rate.")
        state.step += 1
        state.losses.append(loss)
        state.seconds = before + time.monotonic() - began
        checkpoints.poll()
        if state.step % config.options.checkpoint_every == 0 or state.step == last:
            checkpoints.save(trainer, state)
        if (row := watch.look(state.step, loss, trainer.loads)) and setting.tells:
            write_line(row)
        if is_first:
            _tell(folder, state, config, (time.monotonic() - began) / (state.step - first), say)
    checkpoints.finish()
    is_whole = state.step == config.options.steps
    figures = _finished(config, folder, state, text, setting.layout) if is_first and is_whole else {}
    if figures:
        say(Said(state.step, state.step, state.losses[-1], state.step / state.seconds, 0, state.evaluations[-1]))
    dist.barrier()
    dist.destroy_process_group()
    return figures


def _tell(folder: Path, state: State, config: MoeConfig, seconds: float, say: Say) -> None:
    with (folder / "steps.jsonl").open("a") as file:
        file.write(json.dumps({"step": state.step, "loss": state.losses[-1], "time": time.time()}) + "\n")
    steps = config.options.steps
    say(Said(state.step, steps, state.losses[-1], 1 / seconds, seconds * (steps - state.step)))


def _finished(config: MoeConfig, folder: Path, state: State, text: moe.Text, layout: Layout) -> dict[str, Any]:
    """The whole model as one process would have left it, and what it is worth."""
    model = moe.build(config)
    read_whole(published(folder / "checkpoints")[-1], model)
    torch.save(model.state_dict(), folder / "best.pt")
    state.evaluations = [{"step": state.step, **moe.Reading(config, model.eval(), text).validate()}]
    state.best = {"step": state.step, "score": state.evaluations[0]["score"]}
    with moe.picks_counted(model) as loads:
        bits = bits_of(model, text.test, config.length)
    figures = moe.figures_of(config, state, model, {"bits": round(bits, 4), **moe.load_figures(loads)})
    figures["mesh"] = [layout.dp, layout.pp, layout.ep]
    (folder / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description="One process of a mesh; start all of them with torchrun.")
    parser.add_argument("--recipe", required=True, help="such as v3.shakespeare")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; an interrupted one goes on")
    parser.add_argument("--mesh", default="1,1,1", help="copies, stages, experts: dp,pp,ep")
    parser.add_argument("--micro-batches", type=int, default=2)
    parser.add_argument("--chunks", type=int, default=2, help="parts that experts get their rows in")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="changes to the recipe")
    parser.add_argument("--backend", choices=["gloo", "nccl"], default="gloo")
    parser.add_argument("--timeout", type=float, default=120, help="seconds after which a transfer has failed")
    parser.add_argument("--stop-at", type=int, default=0, help="step to stop after; another mesh may go on")
    parser.add_argument("--progress", choices=["tty", "json", "lines", "none"], default="tty")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    dp, pp, ep = (int(one) for one in arguments.mesh.split(","))
    setting = Setting(Layout(dp, pp, ep), Ways(arguments.micro_batches, arguments.chunks), arguments.backend,
                      timedelta(seconds=arguments.timeout), arguments.progress == "lines")  # fmt: skip
    try:
        config = changed(load_recipe(arguments.recipe), dict(one.split("=", 1) for one in arguments.set))
        figures = train(config, arguments.out, setting, speaker(arguments.progress), arguments.stop_at)
    except (DataMissing, ValueError, ArithmeticError) as error:
        print(error, file=sys.stderr)
        return 1
    if figures:
        print(json.dumps({"accuracy": figures["accuracy"], "folder": str(arguments.out)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
