"""How time and memory of dyadic range attention grow with the length, beside eager attention and SDPA.

python -m benchmarks.v1_speed [--tokens 512 1024 ...] [--repeats N] [--graphs FOLDER] [--out FILE]

The 120 million parameter configuration in fp32, one text, the processor. `attention` is what happens between the
queries, keys and values and their mixture; `model` is all 12 layers. Each figure has a process of its own, so that its
peak of memory is its own: what it takes beyond what is there once the model is loaded. Eager attention at 16,384 tokens
would take about 26 GB for one layer's scores and is left out.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import commit, environment

TOKENS = (512, 1024, 2048, 4096, 8192, 16384)
_EAGER_LONGEST = 8192
_CONTENDERS = {
    "attention": ("dyadic ort", "dyadic torch", "sdpa torch", "eager torch"),
    "model": ("dyadic ort", "dyadic torch", "sdpa torch", "eager torch"),
}


def measure(part: str, contender: str, tokens: int, graphs: Path, repeats: int) -> dict[str, Any]:
    """In a process of its own."""
    arguments = ["--one", part, contender, str(tokens), "--graphs", str(graphs), "--repeats", str(repeats)]
    command = [sys.executable, "-m", "benchmarks.v1_speed", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one(part: str, contender: str, tokens: int, graphs: Path, repeats: int) -> dict[str, Any]:
    run = prepare(part, contender, tokens, graphs)
    before = _reset_peak()
    run()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return {
        "median_s": round(statistics.median(times), 4), "min_s": round(min(times), 4),
        "peak_mb": round(_peak() - before), "repeats": repeats,
    }  # fmt: skip


def prepare(part: str, contender: str, tokens: int, graphs: Path) -> Any:
    """A function that runs it once; everything before is not measured."""
    kind, engine = contender.split()
    feed = inputs(part, tokens)
    if engine == "ort":
        import onnxruntime as ort

        session = ort.InferenceSession(str(graphs / f"{part}.onnx"), providers=["CPUExecutionProvider"])
        return lambda: session.run([session.get_outputs()[0].name], feed)
    import torch

    model = torch_model(part, kind)
    tensors = [torch.from_numpy(value) for value in feed.values()]

    def run() -> Any:
        with torch.inference_mode():
            return model(*tensors)

    return run


def inputs(part: str, tokens: int) -> dict[str, Any]:
    source = np.random.default_rng(0)
    if part == "attention":
        return {"x": source.normal(size=(1, tokens, 3 * 768)).astype(np.float32)}
    ids = source.integers(4, 30000, (1, tokens))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def torch_model(part: str, kind: str) -> Any:
    import torch

    from workers.zoo.full_attention import EagerAttention, FullAttention
    from workers.zoo.v1_dynamic_attention import Classifier, DynamicAttention, base

    torch.manual_seed(0)
    attention = {"dyadic": DynamicAttention, "sdpa": FullAttention, "eager": EagerAttention}[kind]
    if part == "model":
        return Classifier(base(), attention).eval()
    return _bare(attention(base())).eval()


def _bare(attention: Any) -> Any:
    """Without the matrices that make queries, keys and values: they are parts of the input."""
    import torch
    from torch import Tensor, nn

    class Part(nn.Module):
        def __init__(self, place: int) -> None:
            super().__init__()
            self.begin = place * 768

        def forward(self, x: Tensor) -> Tensor:
            return x[..., self.begin : self.begin + 768]

    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, x: Tensor) -> Tensor:
            mask = torch.ones_like(x[..., 0])
            mixed: Tensor = self.attention(x, self.attention.prepare(mask))[0]
            return mixed

    attention.query, attention.key, attention.value = Part(0), Part(1), Part(2)
    if hasattr(attention, "mass"):
        attention.mass, attention.range = nn.Linear(3 * 768, 12, bias=False), nn.Linear(3 * 768, 12)
    return Bare()


def write_graphs(folder: Path, parts: list[str]) -> None:
    """Once; the model's takes several minutes."""
    import torch
    from torch.export import Dim

    from workers.export import classifier

    folder.mkdir(parents=True, exist_ok=True)
    if "attention" in parts and not (folder / "attention.onnx").exists():
        torch.onnx.export(
            torch_model("attention", "dyadic"), (torch.randn(1, 600, 3 * 768),), folder / "attention.onnx", dynamo=True,
            dynamic_shapes=({1: Dim("tokens")},), input_names=["x"], external_data=False, verbose=False,
        )  # fmt: skip
    if "model" in parts and not (folder / "model.onnx").exists():
        classifier.write_graph(torch_model("model", "dyadic"), folder / "model.onnx", 30522)


def _reset_peak() -> float:
    """MB that are resident now; the kernel forgets what was more before, such as loading."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> float:
    """Largest resident size since then, in MB."""
    return _status("VmHWM")


def _status(name: str) -> float:
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(name))
    return int(line.split()[1]) / 1024


def summary(found: dict[str, Any], tokens: list[int]) -> dict[str, Any]:
    attention, model = found["attention"], found["model"]
    result = {
        "attention_speedup_vs_sdpa_8k": _ratio(attention, "sdpa torch", "dyadic ort", 8192),
        "attention_speedup_vs_eager_8k": _ratio(attention, "eager torch", "dyadic ort", 8192),
        "attention_speedup_vs_sdpa_16k": _ratio(attention, "sdpa torch", "dyadic ort", 16384),
        "model_speedup_vs_sdpa_8k": _ratio(model, "sdpa torch", "dyadic ort", 8192),
        "model_speedup_vs_sdpa_16k": _ratio(model, "sdpa torch", "dyadic ort", 16384),
        "memory_share_of_eager_8k": _ratio(model, "dyadic ort", "eager torch", 8192, "peak_mb"),
        "memory_ratio_to_sdpa_16k": _ratio(model, "dyadic ort", "sdpa torch", 16384, "peak_mb"),
        "time_slope": slope(attention, [n for n in tokens if n >= 2048]),
        "crossover_tokens": crossover(attention, tokens),
    }
    return {name: value for name, value in result.items() if value is not None}


def _ratio(part: dict[str, Any], above: str, below: str, tokens: int, figure: str = "median_s") -> float | None:
    values = [part.get(name, {}).get(str(tokens), {}).get(figure) for name in (above, below)]
    return round(values[0] / values[1], 2) if all(values) else None


def slope(attention: dict[str, Any], tokens: list[int]) -> float | None:
    """Of the logarithm of the time over that of the length; 1 is linear, 2 quadratic."""
    times = [attention["dyadic ort"].get(str(n), {}).get("median_s") for n in tokens]
    if len(tokens) < 2 or not all(times):
        return None
    return round(float(np.polyfit(np.log(tokens), np.log(times), 1)[0]), 3)


def crossover(attention: dict[str, Any], tokens: list[int]) -> int | None:
    """Length from which on dyadic attention is faster than SDPA, between two lengths along a line in logarithms."""
    before = None
    for n in tokens:
        ratio = _ratio(attention, "sdpa torch", "dyadic ort", n)
        if ratio is None:
            continue
        if ratio >= 1:
            if before is None:
                return n
            share = -math.log(before[1]) / (math.log(ratio) - math.log(before[1]))
            return round(math.exp(math.log(before[0]) + share * math.log(n / before[0])))
        before = (n, ratio)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures dyadic range attention against eager attention and SDPA.")
    parser.add_argument("--tokens", type=int, nargs="+", default=list(TOKENS))
    parser.add_argument("--parts", nargs="+", choices=list(_CONTENDERS), default=list(_CONTENDERS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--graphs", type=Path, default=Path("var/benchmarks/v1"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/v1_speed.json"))
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        part, contender, tokens = arguments.one
        print(json.dumps(one(part, contender, int(tokens), arguments.graphs, arguments.repeats)))
        return
    write_graphs(arguments.graphs, arguments.parts)
    found: dict[str, Any] = {part: {name: {} for name in names} for part, names in _CONTENDERS.items()}
    for part in arguments.parts:
        for tokens in arguments.tokens:
            for contender in _CONTENDERS[part]:
                if contender.startswith("eager") and tokens > _EAGER_LONGEST:
                    continue
                entry = measure(part, contender, tokens, arguments.graphs, arguments.repeats)
                found[part][contender][str(tokens)] = entry
                print(part, contender, tokens, entry, flush=True)
                _write(arguments, found)


def _write(arguments: argparse.Namespace, found: dict[str, Any]) -> None:
    """After every figure, so that an interrupted run leaves what it has."""
    content = {
        "summary": summary(found, arguments.tokens), "details": found, "command": "python -m benchmarks.v1_speed",
        "configuration": "12 layers, 768 wide, 12 heads; window 128, 8 summaries, 7 levels, 4 globals; fp32, batch 1",
        "load_average": os.getloadavg(), "commit": commit(),
        "environment": environment(("torch", "onnxruntime", "numpy")),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
