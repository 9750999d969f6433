"""The planner's memory beside measured peaks of real steps on small meshes (v3_plan.json).

python -m benchmarks.v3_planner [--out FILE]

Each configuration trains three steps on random tokens. What a process holds before it has a model is measured too and
is the plan's `overhead`; the error is that of the whole, `error_of_model` that of what the model adds.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from contracts.mesh_plans import EXAMPLES, plans
from contracts.mixture import Job, Layout, Plan, Sizes, memory
from workers.training.loop import Options
from workers.training.parallel.link import Link
from workers.training.parallel.mesh import join, make_mesh
from workers.training.parallel.trainer import Trainer, Ways
from workers.training.plan import as_dict
from workers.zoo.v3_moe import V3, V3Config

_WIDE = Sizes(512, width=256, layers=4, heads=8, kv_heads=4, hidden=512)
_DEEP = Sizes(512, width=192, layers=8, heads=6, kv_heads=2, hidden=384, shared=1)
CONFIGURATIONS: dict[str, tuple[Job, Plan]] = {
    "one": (Job(_WIDE, 16, 256), Plan(Layout(), 2)),
    "one, computed again": (Job(_WIDE, 16, 256), Plan(Layout(), 2, checkpointing=True)),
    "copies": (Job(_WIDE, 16, 256), Plan(Layout(dp=2), 1)),
    "stages": (Job(_DEEP, 16, 256), Plan(Layout(pp=2), 4)),
    "experts": (Job(_WIDE, 32, 256), Plan(Layout(ep=2), 2)),
    "stages and experts, computed again": (Job(_DEEP, 32, 256), Plan(Layout(pp=2, ep=2), 2, checkpointing=True)),
}
_STEPS = 3


def peak() -> int:
    """Bytes of this process at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rank(name: str) -> None:
    """In each process that torchrun has started; the first prints the largest."""
    torch.set_num_threads(1)
    job, plan = CONFIGURATIONS[name]
    mesh = make_mesh(plan.layout, join("gloo", timedelta(seconds=120)))
    before = peak()
    options = Options(steps=_STEPS, batch_size=job.batch, checkpointing=plan.checkpointing)
    torch.manual_seed(0)
    model = V3(V3Config(**asdict(job.model), context=job.length))
    trainer = Trainer(model, mesh, options, Ways(plan.micro_batches, plan.chunks), job.length, Link())
    del model
    for number in range(_STEPS):
        trainer.step(number, torch.randint(job.model.vocab_size, (job.batch, job.length + 1)))
    found = torch.tensor([before, peak()])
    dist.all_reduce(found, dist.ReduceOp.MAX)
    if dist.get_rank() == 0:
        print(json.dumps({"before": int(found[0]), "peak": int(found[1])}), flush=True)
    dist.destroy_process_group()


def measure(name: str) -> dict[str, Any]:
    """Measured and planned bytes of the process that needs most."""
    job, plan = CONFIGURATIONS[name]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
               str(plan.layout.processes), "-m", "benchmarks.v3_planner", "--rank", name]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    planned = max(memory(job, plan, found["before"]), key=lambda one: one.total)
    added = found["peak"] - found["before"]
    return {
        "name": name, **asdict(plan.layout), "micro_batches": plan.micro_batches, "checkpointing": plan.checkpointing,
        "measured_mb": round(found["peak"] / 1e6, 1), "planned_mb": round(planned.total / 1e6, 1),
        "parts_mb": {part: round(value / 1e6, 1) for part, value in asdict(planned).items()},
        "error": round(planned.total / found["peak"] - 1, 4),
        "error_of_model": round((planned.total - planned.overhead) / added - 1, 4),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Planned and measured memory.")
    parser.add_argument("--rank", choices=list(CONFIGURATIONS), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/v3_plan.json"))
    arguments = parser.parse_args()
    if arguments.rank:
        rank(arguments.rank)
        return 0
    from benchmarks.environment import commit, environment

    rows = []
    for name in CONFIGURATIONS:
        rows.append(measure(name))
        print(json.dumps(rows[-1]), flush=True)
    job, cluster = EXAMPLES["100b"]
    content = {
        "summary": {"worst_memory_error": max(abs(row["error"]) for row in rows),
                    "worst_memory_error_of_model": max(abs(row["error_of_model"]) for row in rows)},
        "details": rows,
        "a_plan_that_nobody_ran": {"what": "100 billion parameters on 128 nodes of eight devices",
                                   "plans": [as_dict(job, row) for row in plans(job, cluster)[:3]]},
        "command": "python -m benchmarks.v3_planner", "environment": environment(("torch",)), "commit": commit(),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["summary"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
