"""How much of a step its transfers cost: with and without overlapping, over gloo and a slower link (v3_overlap.json).

python -m benchmarks.v3_communication [--latency 0.001] [--mbps 20] [--steps 40] [--out FILE]

Exposed communication is a step's time less that of a step whose transfers do not happen. `raw` is gloo between two
processes of one machine, whose own threads compete with the experts' products for the cores. `emulated` is a delay
around the same process group: a transfer arrives no earlier than it would over a link of this latency and bandwidth,
and waiting costs no processor time. Unless told otherwise the link is so slow that the transfers take about as long as
the experts' products do on a core. The variants take turns step by step, and of each the fastest step counts: another
load on the machine only adds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from workers.training.loop import Options
from workers.training.parallel.link import EmulatedLink, Link, NoLink
from workers.training.parallel.mesh import Layout, join, make_mesh
from workers.training.parallel.trainer import Trainer, Ways
from workers.zoo.v3_moe import V3, V3Config

_SIZES = V3Config(256, width=128, layers=2, heads=4, kv_heads=2, hidden=512, context=128)
_BATCH, _LENGTH, _CHUNKS = 8, 128, 4
LINKS = ("compute", "raw", "emulated")


def rank(latency: float, bandwidth: float, steps: int) -> None:
    """In both processes; the first prints the least milliseconds of each variant."""
    torch.set_num_threads(1)
    mesh = make_mesh(Layout(ep=2), join("gloo", timedelta(seconds=120)))
    links = {"compute": NoLink(), "raw": Link(), "emulated": EmulatedLink(latency, bandwidth)}
    trainers = {f"{name}{'' if overlaps else ' in turn'}": _trainer(mesh, links[name], overlaps)
                for name in LINKS for overlaps in (True, False)}  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in trainers}
    for _ in range(steps):
        batch = torch.randint(_SIZES.vocab_size, (_BATCH, _LENGTH + 1), generator=torch.Generator().manual_seed(0))
        for name, trainer in trainers.items():
            dist.barrier()
            began = time.perf_counter()
            trainer.backward(batch)
            found[name].append(time.perf_counter() - began)
    if dist.get_rank() == 0:
        print(json.dumps({name: 1000 * min(times[2:]) for name, times in found.items()}), flush=True)
    dist.destroy_process_group()


def _trainer(mesh, link: Link, overlaps: bool) -> Trainer:
    torch.manual_seed(0)
    ways = Ways(micro_batches=1, chunks=_CHUNKS, overlaps=overlaps)
    return Trainer(V3(_SIZES), mesh, Options(batch_size=_BATCH), ways, _LENGTH, link)


def measure(latency: float, bandwidth: float, steps: int) -> dict[str, float]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
               "benchmarks.v3_communication", "--rank", "--latency", str(latency), "--mbps", str(bandwidth / 1e6),
               "--steps", str(steps)]  # fmt: skip
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, float] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    return found


def exposed(times: dict[str, float], link: str) -> dict[str, float]:
    """Milliseconds that transfers add with and without overlapping, and the share that overlapping saves."""
    with_overlap, in_turn = times[link] - times["compute"], times[f"{link} in turn"] - times["compute in turn"]
    reduction = 1 - with_overlap / in_turn if in_turn > 0 else 0.0
    return {"with_overlap_ms": round(with_overlap, 2), "in_turn_ms": round(in_turn, 2),
            "reduction": round(reduction, 3)}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Exposed communication of experts on two processes.")
    parser.add_argument("--latency", type=float, default=0.001, help="seconds, of the emulated link")
    parser.add_argument("--mbps", type=float, default=20, help="megabytes a second, of the emulated link")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/v3_overlap.json"))
    arguments = parser.parse_args()
    if arguments.rank:
        rank(arguments.latency, arguments.mbps * 1e6, arguments.steps)
        return 0
    from benchmarks.environment import commit, environment

    times = measure(arguments.latency, arguments.mbps * 1e6, arguments.steps)
    found = {link: exposed(times, link) for link in ("raw", "emulated")}
    content = {
        "summary": {f"exposed_reduction_{link}": one["reduction"] for link, one in found.items()},
        "details": found, "milliseconds": {name: round(value, 2) for name, value in times.items()},
        "emulated_link": {"latency_seconds": arguments.latency, "megabytes_a_second": arguments.mbps,
                          "how": "a delay around the process group"},
        "processes": 2, "chunks": _CHUNKS, "steps": arguments.steps,
        "command": "python -m benchmarks.v3_communication",
        "environment": environment(("torch",)), "commit": commit(),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps({**content["summary"], "details": found}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
