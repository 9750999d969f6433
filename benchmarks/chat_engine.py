"""Tokens per second and time to first token of our engine beside its peers: same model, same prompts.

python -m benchmarks.chat_engine --artifacts var/artifacts [--llamacpp-python PATH] [--repetitions 5]

Every contender is a process that loads the model once and answers rounds on demand; the rounds of
a repetition go to the contenders in turn, so that all share whatever else the machine does. In a
round N streams arrive `--stagger` seconds apart, every fourth prompt long, each wants the same
number of new tokens, greedy, end of sequence ignored. `16_burst` is 16 streams at the same moment.
Figures are medians over repetitions; times to first token are pooled over them.
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
from itertools import product
from pathlib import Path
from typing import Any, Self

from benchmarks.chat_workload import Round, make_round
from benchmarks.environment import commit, environment
from workers.export.chat_model import builder_options, prepare_chat_model
from workers.export.source import SMOLLM2
from workers.pipelines.text_generation import load_tokenizer

RESULTS = Path(__file__).parent / "results" / "chat_engine.json"
PACKAGES = ("onnxruntime", "onnxruntime-genai", "numpy", "tokenizers")
CASES = {"1": 1, "4": 4, "8": 8, "16": 16, "16_burst": 16}  # name -> streams
PRECISION = "int4"
Figures = dict[str, dict[str, list[dict[str, Any]]]]  # contender -> case -> rounds


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
    cases = arguments.cases.split(",")
    figures: Figures = {contender.name: {case: [] for case in cases} for contender in contenders}
    with ExitStack() as stack:
        running = deque(stack.enter_context(contender) for contender in contenders)
        for number, (repetition, case) in enumerate(product(range(arguments.repetitions + 1), cases)):
            running.rotate()
            stagger = 0.0 if case.endswith("burst") else arguments.stagger
            work = make_round(encode, CASES[case], number, new_tokens=arguments.new_tokens, stagger=stagger)
            for contender in running:
                result = contender.run(work)
                print(f"{repetition} {case:9} {contender.name:9} {_rate(result):7.1f} tokens/s", file=sys.stderr)
                figures[contender.name][case] += [result] if repetition else []
    return figures


def _rate(result: dict[str, Any]) -> float:
    return float(result["tokens"] / result["seconds"])


def _details(figures: Figures) -> dict[str, Any]:
    return {name: {case: _describe(rounds) for case, rounds in by_case.items()} for name, by_case in figures.items()}


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
    ours = details["ours"]
    summary = {f"tokens_per_s_{case}": figures["tokens_per_s"] for case, figures in ours.items()}
    summary |= {f"ttft_p95_s_{case}": figures["ttft_p95_s"] for case, figures in ours.items()}
    for peer in set(details) - {"ours"}:
        for case in ours:
            for key, name in (("tokens_per_s", "tokens_per_s"), ("ttft_p95_s", "ttft_p95")):
                ratio = ours[case][key] / details[peer][case][key]
                summary[f"{name}_ratio_to_{peer}_{case}"] = round(ratio, 3)
    return summary


def _write(figures: Figures, arguments: argparse.Namespace) -> None:
    """Keeps what other scripts have put into the same file."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    details = _details(figures)
    protocol = {
        "model": f"{SMOLLM2.title}, {PRECISION}",
        "builder_options_ours": builder_options(PRECISION),
        "builder_options_genai": builder_options(PRECISION, all_logits=True),
        "genai_settings": "Engine, static_batching.max_batch_size 16, max_length 1024, same threads",
        "new_tokens": arguments.new_tokens,
        "stagger_s": arguments.stagger,
        "repetitions": arguments.repetitions,
        "threads": arguments.threads,
    }
    result = {
        "summary": known.get("summary", {}) | _summary(details),
        "details": known.get("details", {}) | details | {"protocol": protocol},
        "environment": environment(PACKAGES),
        "command": f"python -m benchmarks.chat_engine --repetitions {arguments.repetitions} --cases {arguments.cases}",
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
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--new-tokens", type=int, default=100)
    parser.add_argument("--stagger", type=float, default=0.2, help="seconds between arrivals")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
