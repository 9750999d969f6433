"""Tokens per second and time to first token of our engine beside its peers: same model, same prompts.

python -m benchmarks.chat_engine --artifacts var/artifacts [--llamacpp-python PATH] [--repetitions 5]

Every contender is a process that loads the model once and answers rounds on demand; the rounds of
a repetition go to the contenders in turn, so that all share whatever else the machine does. In a
round N streams arrive `--stagger` seconds apart, every fourth prompt long, each wants the same
number of new tokens, greedy, end of sequence ignored. Figures are medians over repetitions.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from benchmarks.chat_workload import Round, make_round
from benchmarks.environment import commit, environment
from workers.export.chat_model import builder_options, prepare_chat_model
from workers.export.source import SMOLLM2
from workers.pipelines.text_generation import load_tokenizer

RESULTS = Path(__file__).parent / "results" / "chat_engine.json"
PACKAGES = ("onnxruntime", "onnxruntime-genai", "numpy", "tokenizers")
STREAMS = (1, 4, 8, 16)
PRECISION = "int4"
Figures = dict[str, dict[int, list[dict[str, Any]]]]  # contender -> streams -> rounds


class Contender:
    """A running process; use as a context manager."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self._command = command

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def run(self, work: Round) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(work.as_dict()) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended without an answer")
        result: dict[str, Any] = json.loads(line)
        expected = len(work.prompts) * work.new_tokens
        if result["tokens"] != expected:
            raise RuntimeError(f"{self.name} made {result['tokens']} tokens, not {expected}")
        return result


def main() -> None:
    arguments = _arguments()
    ours = prepare_chat_model(arguments.artifacts, PRECISION)
    peers = prepare_chat_model(arguments.artifacts, PRECISION, all_logits=True)
    contenders = [
        Contender("ours", _module("ours", ours, arguments.threads)),
        Contender("genai", _module("genai", peers, arguments.threads)),
    ]
    if arguments.llamacpp_python:
        script = Path(__file__).parent / "contenders" / "llamacpp.py"
        command = [arguments.llamacpp_python, str(script), str(SMOLLM2.locate()), str(arguments.threads)]
        contenders.append(Contender("llamacpp", command))
    figures = _measure(contenders, load_tokenizer(ours).encode, arguments)
    _write(figures, arguments)


def _measure(contenders: list[Contender], encode: Any, arguments: argparse.Namespace) -> Figures:
    """A warm-up repetition that does not count, then the others; who goes first rotates."""
    figures: Figures = {contender.name: {streams: [] for streams in STREAMS} for contender in contenders}
    with ExitStack() as stack:
        running = deque(stack.enter_context(contender) for contender in contenders)
        for repetition in range(arguments.repetitions + 1):
            running.rotate()
            for streams in STREAMS:
                number = repetition * len(STREAMS) + STREAMS.index(streams)
                work = make_round(encode, streams, number, new_tokens=arguments.new_tokens, stagger=arguments.stagger)
                for contender in running:
                    result = contender.run(work)
                    print(f"{repetition} {streams:3} {contender.name:9} {_rate(result):7.1f} tokens/s", file=sys.stderr)
                    figures[contender.name][streams] += [result] if repetition else []
    return figures


def _rate(result: dict[str, Any]) -> float:
    return float(result["tokens"] / result["seconds"])


def _details(figures: Figures) -> dict[str, Any]:
    return {
        name: {str(streams): _describe(rounds) for streams, rounds in by_streams.items()}
        for name, by_streams in figures.items()
    }


def _describe(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Times to first token in seconds, pooled over the rounds."""
    first = sorted(value for result in rounds for value in result["first"])
    return {
        "tokens_per_s": round(statistics.median(map(_rate, rounds)), 1),
        "tokens_per_s_rounds": [round(_rate(result), 1) for result in rounds],
        "ttft_median_s": round(statistics.median(first), 4),
        "ttft_p95_s": round(_percentile(first, 0.95), 4),
        "ttft_worst_s": round(first[-1], 4),
    }


def _percentile(ordered: list[float], share: float) -> float:
    """Nearest rank."""
    return ordered[math.ceil(share * len(ordered)) - 1]


def _summary(details: dict[str, Any]) -> dict[str, float]:
    ours, genai = details["ours"], details["genai"]
    summary = {
        f"tokens_per_s_ratio_to_genai_{streams}": _ratio(ours, genai, streams, "tokens_per_s") for streams in STREAMS
    }
    summary["ttft_p95_ratio_to_genai_16"] = _ratio(ours, genai, 16, "ttft_p95_s")
    if llamacpp := details.get("llamacpp"):
        summary["tokens_per_s_ratio_to_llamacpp_16"] = _ratio(ours, llamacpp, 16, "tokens_per_s")
    return summary | {f"tokens_per_s_{streams}": ours[str(streams)]["tokens_per_s"] for streams in STREAMS}


def _ratio(ours: dict[str, Any], other: dict[str, Any], streams: int, key: str) -> float:
    return round(ours[str(streams)][key] / other[str(streams)][key], 3)


def _write(figures: Figures, arguments: argparse.Namespace) -> None:
    """Keeps what other scripts have put into the same file."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    details = _details(figures)
    protocol = {
        "model": f"{SMOLLM2.title}, {PRECISION}",
        "builder_options_ours": builder_options(PRECISION),
        "builder_options_genai": builder_options(PRECISION, all_logits=True),
        "genai_settings": "static_batching.max_batch_size 16, max_length 1024, same threads",
        "new_tokens": arguments.new_tokens,
        "stagger_s": arguments.stagger,
        "repetitions": arguments.repetitions,
        "threads": arguments.threads,
    }
    result = {
        "summary": known.get("summary", {}) | _summary(details),
        "details": known.get("details", {}) | details | {"protocol": protocol},
        "environment": environment(PACKAGES),
        "command": f"python -m benchmarks.chat_engine --repetitions {arguments.repetitions}",
        "commit": commit(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["summary"], indent=2))


def _module(name: str, artifact: Path, threads: int) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.contenders.{name}", str(artifact), str(threads)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifacts", type=Path, default=Path("var/artifacts"))
    parser.add_argument("--llamacpp-python", help="interpreter that can import llama_cpp")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--new-tokens", type=int, default=100)
    parser.add_argument("--stagger", type=float, default=0.05, help="seconds between arrivals")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
