"""A mesh of processes against one: loss and every gradient of a few steps of the same training (v3_parity.json).

python -m benchmarks.v3_parity [--meshes 2,2,2 2,1,1 ...] [--out FILE]

Each mesh (dp, pp, ep) is run with and without overlapping, computing activations again, and all tokens sent to the same
two experts. Errors are relative to the largest entry of the parameter's gradient in one process. fp32.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import product
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn import functional as F

from workers.training.loop import Options, make_optimizer, schedule
from workers.training.parallel.link import Link
from workers.training.parallel.mesh import Layout, join, make_mesh
from workers.training.parallel.stage import is_divided
from workers.training.parallel.trainer import Trainer, Ways
from workers.zoo.v3_moe import V3, V3Config, routers

ALL = ("2,2,2", "2,1,1", "1,2,1", "1,1,2")
CONFIG = V3Config(vocab_size=31, width=32, layers=4, heads=4, kv_heads=2, hidden=16, shared=1, context=16)
OPTIONS = Options(steps=5, batch_size=16, learning_rate=3e-3, warmup=0.4)
LENGTH = 12
TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Case:
    overlaps: bool
    checkpointing: bool
    forced: bool
    """All tokens to the same two experts."""


CASES = [Case(*flags) for flags in product((True, False), repeat=3)]


def model_of(case: Case) -> V3:
    torch.manual_seed(0)
    model = V3(CONFIG)
    for router in routers(model):
        router.bias[:2] = 10.0 if case.forced else 0.0
    return model


def batches() -> Iterator[torch.Tensor]:
    source = torch.Generator().manual_seed(1)
    for _ in range(OPTIONS.steps):
        yield torch.randint(CONFIG.vocab_size, (OPTIONS.batch_size, LENGTH + 1), generator=source)


Step = tuple[float, dict[str, torch.Tensor]]


def alone(case: Case) -> Iterator[Step]:
    """Loss and gradients of each step of one process, with plain autograd and torch's own clipping."""
    model = model_of(case)
    optimizer = make_optimizer(model, OPTIONS)
    for number, batch in enumerate(batches()):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIONS.clip)
        for group in optimizer.param_groups:
            group["lr"] = OPTIONS.learning_rate * schedule(number, OPTIONS)
        optimizer.step()
        model.balance()
        yield float(loss), {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


def together(case: Case, layout: Layout) -> Iterator[Step]:
    """The same of this process's part of the mesh."""
    options = Options(**{**asdict(OPTIONS), "checkpointing": case.checkpointing})
    mesh = make_mesh(layout, torch.device("cpu"))
    trainer = Trainer(model_of(case), mesh, options, Ways(overlaps=case.overlaps), LENGTH, Link())
    for number, batch in enumerate(batches()):
        loss = trainer.step(number, batch)
        yield loss, {name: value.grad for name, value in trainer.stage.named_parameters() if value.grad is not None}


def errors(case: Case, layout: Layout) -> tuple[float, float, int]:
    """Largest of the loss and of any gradient in this process, and how many gradients were compared."""
    place, compared = dist.get_rank() % layout.ep, 0
    worst_loss = worst = 0.0
    for (loss, gradients), (own_loss, own) in zip(alone(case), together(case, layout), strict=True):
        worst_loss = max(worst_loss, abs(loss - own_loss) / loss)
        for name, value in own.items():
            whole = gradients[name]
            wanted = whole.chunk(layout.ep)[place] if is_divided(name) else whole
            worst = max(worst, float((wanted - value).abs().max() / whole.abs().max()))
            compared += 1
    return worst_loss, worst, compared


def rank(meshes: list[str]) -> None:
    """What each process that torchrun has started does; the first prints a line for each mesh and case."""
    torch.set_num_threads(1)
    join("gloo", TIMEOUT)
    for layout, case in product((Layout(*map(int, mesh.split(","))) for mesh in meshes), CASES):
        loss, gradient, compared = errors(case, layout)
        found = torch.tensor([loss, gradient], dtype=torch.float64)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        counts = torch.tensor(compared)
        dist.all_reduce(counts)
        if dist.get_rank() == 0:
            row = {"relative_loss_error": float(found[0]), "relative_gradient_error": float(found[1])}
            print(json.dumps({**asdict(layout), **asdict(case), **row, "gradients": int(counts)}), flush=True)
    dist.destroy_process_group()


def measure(meshes: list[str], seconds: float = 600) -> list[dict[str, float]]:
    """A row for each case; meshes must be of the same number of processes."""
    processes = Layout(*map(int, meshes[0].split(","))).processes
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m",
               "benchmarks.v3_parity", "--meshes", *meshes]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> int:
    parser = argparse.ArgumentParser(description="One training on a mesh and in one process.")
    parser.add_argument("--meshes", nargs="+", default=list(ALL), help="dp,pp,ep")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/v3_parity.json"))
    arguments = parser.parse_args()
    if "RANK" in os.environ:
        rank(arguments.meshes)
        return 0
    from benchmarks.environment import commit, environment

    rows = [row for mesh in arguments.meshes for row in measure([mesh])]
    content = {
        "summary": {
            "max_relative_gradient_error": max(row["relative_gradient_error"] for row in rows),
            "max_relative_loss_error": max(row["relative_loss_error"] for row in rows), "cases": len(rows),
        },
        "details": rows, "steps": OPTIONS.steps, "command": "python -m benchmarks.v3_parity",
        "environment": environment(("torch",)), "commit": commit(),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["summary"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
