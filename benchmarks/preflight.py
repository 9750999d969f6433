"""Estimated against measured peak memory, of training steps and inferences in processes of their own.

python -m benchmarks.preflight
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from benchmarks.environment import commit, environment
from workers.training.memory import GB, Plan, estimate
from workers.zoo.trained import ATTENTIONS
from workers.zoo.v1_dynamic_attention import Classifier, base

RESULTS = Path(__file__).parent / "results" / "preflight.json"
CONFIG = replace(base(), layers=4)
PLANS = [
    Plan(attention, length, batch, checkpointing, train)
    for attention in ("dynamic", "full", "eager")
    for length, batch in ((512, 4), (2048, 1))
    for checkpointing, train in ((False, False), (False, True), (True, True))
]


def measure(plan: Plan) -> int:
    """Bytes that a step adds to the process, optimiser included. In a process of its own: a peak is never forgotten."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.preflight", "--one", json.dumps(asdict(plan))],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return int(done.stdout)


def run_once(plan: Plan) -> int:
    torch.set_num_threads(1)
    before = _peak()
    model = Classifier(CONFIG, ATTENTIONS[plan.attention]).train(plan.train)
    model.encoder.checkpointing = plan.checkpointing
    ids = torch.randint(4, 1000, (plan.batch, plan.length))
    if plan.train:
        optimizer = torch.optim.AdamW(model.parameters())
        for _ in range(2):  # from the second step on the moments are there
            model(ids, torch.ones_like(ids))[0].sum().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
    else:
        with torch.no_grad():
            model(ids, torch.ones_like(ids))
    return _peak() - before


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    if "--one" in sys.argv:
        print(run_once(Plan(**json.loads(sys.argv[-1]))))
        return
    rows = []
    for plan in PLANS:
        estimated, measured = estimate(CONFIG, plan).total, measure(plan)
        rows.append({**asdict(plan), "estimated_gb": round(estimated / GB, 3), "measured_gb": round(measured / GB, 3),
                     "ratio": round(estimated / measured, 3)})  # fmt: skip
        print(rows[-1], file=sys.stderr, flush=True)
    ratios = sorted(row["ratio"] for row in rows)
    summary = {"ratio_lowest": ratios[0], "ratio_median": ratios[len(ratios) // 2], "ratio_highest": ratios[-1]}
    found = {"command": "python -m benchmarks.preflight", "commit": commit(), "environment": environment(("torch",)),
             "summary": summary, "details": {"rows": rows}}  # fmt: skip
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
