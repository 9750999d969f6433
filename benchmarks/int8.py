"""What int8 costs and gains: file, memory, accuracy and latency before and after, of a trained run.

python -m benchmarks.int8 RUN [RUN ...] [--work FOLDER]

Each run is exported as `python -m workers.export` does. Memory is what a worker grows by (growth.py); latency is that
of one text of 32 tokens on one thread. The graph is chosen by the validation set; accuracies are those of the test.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.environment import commit, environment
from benchmarks.growth import growth
from workers.export.trained import Exporter, Wish


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
