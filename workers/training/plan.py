"""Which mesh a mixture of experts fits on, what each device's memory holds, and how long a step would take.

python -m workers.training.plan --example 100b
python -m workers.training.plan --recipe v3.shakespeare --devices 8 --memory-gb 2 --tflops 0.02 --link-gbps 1

A plan, never a run. contracts/mixture.py and contracts/mesh_plans.py have the arithmetic, which the console shares.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from typing import Any

from contracts.mesh_plans import EXAMPLES, Cluster, Row, bubble, plans
from contracts.mixture import Job, Sizes, active, parameters, rows_of
from workers.zoo.v3_moe import V3Config

from .moe import MoeConfig
from .recipe import load_recipe


def of_recipe(config: MoeConfig) -> Job:
    return Job(counted(config.sizes), config.options.batch_size, config.length)


def counted(sizes: V3Config) -> Sizes:
    """What counts of a model's configuration."""
    return Sizes(**{one.name: getattr(sizes, one.name) for one in fields(Sizes)})


def as_dict(job: Job, row: Row) -> dict[str, Any]:
    return {
        **asdict(row.plan.layout), "micro_batches": row.plan.micro_batches, "rows": rows_of(job, row.plan),
        "checkpointing": row.plan.checkpointing, "fits": row.fits,
        "memory_gb": {name: round(value / 1e9, 3) for name, value in asdict(row.peak).items()},
        "total_gb": round(row.peak.total / 1e9, 3), "bubble": round(bubble(row.plan), 4),
        "sent_gb": {name: round(value / 1e9, 4) for name, value in asdict(row.volume).items()},
        "seconds": {name: round(value, 4) for name, value in asdict(row.seconds).items()},
        "seconds_total": round(row.seconds.total, 4),
    }  # fmt: skip


def _table(job: Job, rows: list[Row]) -> Iterator[str]:
    yield "dp  pp ep  parts x rows  again  GB (weights gradients optimiser activations)  bubble  sent GB  s/step"
    for row in rows:
        layout, held, again = row.plan.layout, row.peak, "yes" if row.plan.checkpointing else "no"
        parts = " ".join(f"{one / 1e9:.1f}" for one in (held.weights, held.gradients, held.optimiser, held.activations))
        sent = sum(asdict(row.volume).values()) / 1e9
        yield (
            f"{layout.dp:<3} {layout.pp:<2} {layout.ep:<2} {row.plan.micro_batches:>5} x {rows_of(job, row.plan):<5} "
            f"{again:<5} {held.total / 1e9:>7.2f} ({parts}) {bubble(row.plan):>7.1%} "
            f"{sent:>8.2f} {row.seconds.total:>8.3f}{'' if row.fits else '  does not fit'}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description="Plans the training of a mixture of experts. Nothing is run.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--example", choices=sorted(EXAMPLES))
    what.add_argument("--recipe", help="such as v3.shakespeare")
    parser.add_argument("--devices", type=int, help="how many")
    parser.add_argument("--memory-gb", type=float, help="of a device")
    parser.add_argument("--tflops", type=float, help="that a device reaches")
    parser.add_argument("--link-gbps", type=float, help="gigabits a second of a device's link")
    parser.add_argument("--best", type=int, default=5, help="how many plans to show")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        job, cluster = _asked(arguments)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    rows = plans(job, cluster)[: arguments.best]
    if arguments.json:
        print(json.dumps([as_dict(job, row) for row in rows], indent=1))
        return 0
    found = parameters(job.model).total(job.model.layers)
    print(f"A plan, not a run: {found / 1e9:.3g} billion parameters, {active(job.model) / 1e9:.3g} active, "
          f"{cluster.devices} devices of {cluster.memory / 1e9:.3g} GB.")  # fmt: skip
    print("\n".join(_table(job, rows)))
    return 0


def _asked(arguments: argparse.Namespace) -> tuple[Job, Cluster]:
    """Raises ValueError."""
    job, cluster = EXAMPLES[arguments.example or "100b"]
    if arguments.recipe:
        job, cluster = of_recipe(load_recipe(arguments.recipe)), Cluster(1, 8e9, 20e9, 1e9)
    given = {
        "devices": arguments.devices, "memory": arguments.memory_gb and arguments.memory_gb * 1e9,
        "flops": arguments.tflops and arguments.tflops * 1e12,
        "bandwidth": arguments.link_gbps and arguments.link_gbps * 1e9 / 8,
    }  # fmt: skip
    return job, replace(cluster, **{name: value for name, value in given.items() if value})


if __name__ == "__main__":
    sys.exit(main())
