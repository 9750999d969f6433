"""How time and memory of dyadic range attention grow with the length, beside eager attention and SDPA.

python -m benchmarks.v1_speed [--tokens 512 1024 ...] [--seconds N] [--graphs FOLDER] [--out FILE]

The 120 million parameter configuration in fp32, one text, the processor, every core it is given (`threads` in the
result; both sides have the same). `attention` is what happens between the queries, keys and values and their mixture,
with V1's own matrices for mass and range; `model` is all 12 layers. Each figure has a process of its own, so that its
peak of memory is its own: what it takes beyond what is there once the model is loaded. The first run warms up and is
not counted, unless it alone takes longer than `--seconds`: then it is the figure, warm-up and all (`repeats` is 1).
Eager attention at 16,384 tokens would take about 26 GB for one layer's scores and is left out. `packed` is V1 with half
of the blocks allowed beyond their neighbours.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environment import commit, environment

TOKENS = (512, 1024, 2048, 4096, 8192, 16384)
_EAGER_LONGEST = 8192
_CONTENDERS = {
    "attention": ("dyadic ort", "packed ort", "dyadic torch", "packed torch", "sdpa torch", "eager torch"),
    "model": ("dyadic ort", "dyadic torch", "packed torch", "sdpa torch", "eager torch"),
}
_TIERS = (0.5,) * 7
_SETTINGS = ("graphs", "seconds", "repeats")


def measure(part: str, contender: str, tokens: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own."""
    settings = [word for name in _SETTINGS for word in (f"--{name}", str(getattr(arguments, name)))]
    command = [sys.executable, "-m", "benchmarks.v1_speed", "--one", part, contender, str(tokens), *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one(part: str, contender: str, tokens: int, arguments: argparse.Namespace) -> dict[str, Any]:
    began = _status("VmRSS")
    run = prepare(part, contender, tokens, arguments.graphs)
    before = _reset_peak()
    times = [timed(run)]
    if times[0] < arguments.seconds:
        times = [timed(run)]
        while len(times) < arguments.repeats and sum(times) < arguments.seconds:
            times.append(timed(run))
    return {
        "median_s": round(statistics.median(times), 4), "min_s": round(min(times), 4), "repeats": len(times),
        "peak_mb": round(_peak() - before), "loaded_mb": round(before - began),
    }  # fmt: skip


def timed(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def prepare(part: str, contender: str, tokens: int, graphs: Path) -> Callable[[], Any]:
    """A function that runs it once; everything before is not measured."""
    kind, engine = contender.split()
    feed = inputs(part, tokens)
    if engine == "ort":
        return _ort(graph_of(part, kind, graphs), feed)
    import torch

    torch.set_num_threads(threads())
    model = torch_model(part, kind)
    tensors = [torch.from_numpy(value) for value in feed.values()]

    def run() -> Any:
        with torch.inference_mode():
            return model(*tensors)

    return run


def graph_of(part: str, kind: str, folder: Path) -> Path:
    """Of the code as it is now: a graph of earlier code has another name."""
    sources = ("workers/zoo/v1_dynamic_attention.py", "workers/export/classifier.py")
    digest = hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources)).hexdigest()[:8]
    return folder / f"{part}-{kind}-{digest}.onnx"


def _ort(graph: Path, feed: dict[str, Any]) -> Callable[[], Any]:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads()
    session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return lambda: session.run([session.get_outputs()[0].name], feed)


def threads() -> int:
    return len(os.sched_getaffinity(0))


def inputs(part: str, tokens: int) -> dict[str, Any]:
    source = np.random.default_rng(0)
    if part == "attention":
        return {name: source.normal(size=(1, tokens, 768)).astype(np.float32) for name in "xqkv"}
    ids = source.integers(4, 30000, (1, tokens))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def torch_model(part: str, kind: str) -> Any:
    import torch

    from workers.zoo.full_attention import EagerAttention, FullAttention
    from workers.zoo.v1_dynamic_attention import Classifier, DynamicAttention, base

    torch.manual_seed(0)
    known = {"sdpa": FullAttention, "eager": EagerAttention}
    model = Classifier(base(), known.get(kind, DynamicAttention)).eval() if part == "model" else None
    layers = model.encoder.layers if model else []
    attentions = [layer.attention for layer in layers] or [known.get(kind, DynamicAttention)(base()).eval()]
    for attention in attentions:
        attention.tiers = _TIERS if kind == "packed" else None
    return model or _bare(attentions[0])


def _bare(attention: Any) -> Any:
    """Without the matrices that make queries, keys and values: those come as inputs, of whole blocks."""
    import torch
    from torch import Tensor, nn

    from workers.zoo.v1_dynamic_attention import DynamicAttention

    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            layout = self.attention.prepare(torch.ones_like(x[..., 0]))
            if isinstance(self.attention, DynamicAttention):
                mixed: Tensor = self.attention.attend(x, q, k, v, layout)[0]
                return mixed
            return self.attention.attend(q, k, v, layout)

    return Bare().eval()


def write_graphs(folder: Path, parts: list[str]) -> None:
    """Once; the model's takes several minutes."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        for kind in (one.split()[0] for one in _CONTENDERS[part] if one.endswith("ort")):
            path = graph_of(part, kind, folder)
            if path.exists():
                continue
            print(f"exporting {path.name}", flush=True)
            partial = path.with_suffix(".partial")
            (_write_attention if part == "attention" else _write_model)(torch_model(part, kind), partial)
            partial.rename(path)


def _write_attention(attention: Any, path: Path) -> None:
    import torch
    from torch.export import Dim

    tokens = 128 * Dim("blocks")
    torch.onnx.export(
        attention, tuple(torch.randn(1, 128 * 21, 768) for _ in "xqkv"), path, dynamo=True,
        dynamic_shapes=({1: tokens},) * 4, input_names=list("xqkv"), external_data=False, verbose=False,
    )  # fmt: skip


def _write_model(model: Any, path: Path) -> None:
    from workers.export import classifier

    classifier.write_graph(model, path, 30522)


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
        "memory_ratio_to_sdpa_8k": _ratio(model, "dyadic ort", "sdpa torch", 8192, "peak_mb"),
        "memory_ratio_to_sdpa_16k": _ratio(model, "dyadic ort", "sdpa torch", 16384, "peak_mb"),
        "time_slope": slope(attention, [n for n in tokens if n >= 2048]),
        "crossover_tokens": crossover(attention, tokens),
        "model_crossover_tokens": crossover(model, tokens),
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
    parser.add_argument("--repeats", type=int, default=9, help="at most")
    parser.add_argument("--seconds", type=float, default=4, help="after which nothing is repeated any more")
    parser.add_argument("--graphs", type=Path, default=Path("var/benchmarks/v1"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/v1_speed.json"))
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        part, contender, tokens = arguments.one
        print(json.dumps(one(part, contender, int(tokens), arguments)))
        return
    write_graphs(arguments.graphs, arguments.parts)
    found: dict[str, Any] = {part: {name: {} for name in names} for part, names in _CONTENDERS.items()}
    load = os.getloadavg()  # before anything here adds to it
    for part in arguments.parts:
        for tokens in arguments.tokens:
            for contender in _CONTENDERS[part]:
                if contender.startswith("eager") and tokens > _EAGER_LONGEST:
                    continue
                entry = measure(part, contender, tokens, arguments)
                found[part][contender][str(tokens)] = entry
                print(part, contender, tokens, entry, flush=True)
                _write(arguments, found, load)


def _write(arguments: argparse.Namespace, found: dict[str, Any], load: tuple[float, float, float]) -> None:
    """After every figure, so that an interrupted run leaves what it has."""
    content = {
        "summary": summary(found, arguments.tokens), "details": found, "command": "python -m benchmarks.v1_speed",
        "configuration": "12 layers, 768 wide, 12 heads; window 128, 8 summaries, 7 levels, 4 globals; fp32, batch 1",
        "threads": threads(), "load_average": load, "commit": commit(),
        "environment": environment(("torch", "onnxruntime", "numpy")),
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
