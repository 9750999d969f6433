"""What int8 costs and gains: file, memory, accuracy and latency before and after, of a trained run.

python -m benchmarks.int8 RUN [RUN ...] [--work FOLDER]

Each run is exported as `python -m workers.export` does. Memory is what a process grows by when it loads the graph and
answers once, each in a process of its own; latency is that of one text of 32 tokens on one thread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.environment import commit, environment
from workers.export.trained import Exporter, Wish

_GROWTH = """
import sys, numpy as np, onnxruntime as ort, psutil
before = psutil.Process().memory_info().rss
options = ort.SessionOptions(); options.intra_op_num_threads = 1; options.log_severity_level = 3
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
ones = np.ones((1, 32), np.int64)
session.run(["logits"], {"input_ids": ones, "attention_mask": ones})
print(psutil.Process().memory_info().rss - before)
"""


def growth(graph: Path) -> int:
    """Resident bytes that loading and one answer add."""
    done = subprocess.run([sys.executable, "-c", _GROWTH, str(graph)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def measure(run: Path, work: Path) -> dict[str, Any]:
    work.mkdir(parents=True, exist_ok=True)
    name = run.name
    manifest = Exporter(run, work).export(Wish(name, name), work / "result")
    metrics = manifest["metrics"]
    rows = {row["name"]: row for row in metrics["candidates"]}
    before, after = rows[metrics["fp32"]], rows[metrics["chosen"]]
    files = {"before": work / _file(metrics["fp32"]), "after": work / "result" / "model.onnx"}
    memory = {name: growth(path) for name, path in files.items()}
    return {
        "chosen": metrics["chosen"], "fp32": metrics["fp32"], "candidates": metrics["candidates"],
        "accuracy_fp32": metrics["accuracy_fp32"], "accuracy_int8": metrics["accuracy"],
        "file_share": round(after["bytes"] / before["bytes"], 3),
        "memory_share": round(memory["after"] / memory["before"], 3), "memory_bytes": memory,
        "accuracy_loss_points": round(100 * (metrics["accuracy_fp32"] - metrics["accuracy"]), 2),
        "latency_ratio": round(before["milliseconds"] / after["milliseconds"], 2),
        "parity": metrics["parity"]["max_error"],
    }  # fmt: skip


def _file(name: str) -> str:
    return "plain.onnx" if name == "fp32" else f"{name.replace(' ', '-')}.onnx"


def main() -> None:
    parser = argparse.ArgumentParser(description="int8 against fp32.")
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--work", type=Path, default=Path("var/benchmarks/int8"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/int8.json"))
    arguments = parser.parse_args()
    found = {run.name: measure(run, arguments.work / run.name) for run in arguments.runs}
    worst = {"file_share": max, "memory_share": max, "accuracy_loss_points": max, "latency_ratio": min}
    content = {
        "summary": {name: pick(entry[name] for entry in found.values()) for name, pick in worst.items()},
        "details": found, "command": "python -m benchmarks.int8 RUN ...", "commit": commit(),
        "environment": environment(("onnxruntime", "torch")),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print(json.dumps(content["summary"], indent=1))


if __name__ == "__main__":
    main()
