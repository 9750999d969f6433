"""Embeddings through our whole way (HTTP, key, routing, Redis, Celery, engine, answer, settling) beside LitServe and
beside bare onnxruntime: the same graph, tokenizer, pooling and texts, in one run.

python -m benchmarks.encoder_serving [--repetitions 5] [--seconds 8] [--port 8110]

MiniLM L6 int8 on AG News test texts (DATA_DIR, default ../shared/data), one text a request, answers as base64. Every
server is a process of its own that is stopped (SIGSTOP) while another is measured; rounds of a repetition go to the
contenders in turn, figures are medians over repetitions. LitServe runs in several settings and is represented, at each
number of connections, by the one with the most requests a second. Bare onnxruntime takes texts in the order they come,
at the best of several batch sizes and of one session with all cores or one a core.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from array import array
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from tokenizers import Tokenizer

from benchmarks import load
from benchmarks.environment import commit, environment
from benchmarks.installation import Installation
from workers.export.minilm import MAX_LENGTH, MODEL, TOKENIZER, prepare_minilm

RESULTS = Path(__file__).parent / "results" / "encoder_serving.json"
CONNECTIONS = (1, 8, 32)
# name: max_batch_size, workers, threads of each worker's session
LITSERVE = {"batch 1": (1, 1, 2), "batch 8": (8, 1, 2), "batch 32": (32, 1, 2), "batch 1, two workers": (1, 2, 1)}
PACKAGES = ("onnxruntime", "litserve", "django", "celery", "uvicorn", "tokenizers")
WARM_UP = 2.0


class Ours:
    name = "ours"

    def __init__(self, installation: Installation, port: int, texts: list[str]) -> None:
        self._installation, self.port = installation, port
        self.requests = [
            load.post(
                "/v1/embeddings",
                {"model": MODEL.name, "input": text, "encoding_format": "base64"},
                {"Authorization": f"Bearer {installation.key}"},
            )
            for text in texts
        ]

    def pause(self) -> None:
        self._installation.pause()

    def go_on(self) -> None:
        self._installation.go_on()
        time.sleep(1)
        self._installation.wait_for(MODEL.name)


class LitServe:
    """A LitServe process in one setting; use as a context manager."""

    def __init__(self, name: str, artifact: Path, port: int, texts: list[str]) -> None:
        self.name, self.port = f"litserve, {name}", port
        self._command = [
            *(sys.executable, "-m", "benchmarks.contenders.litserve_minilm", str(artifact), str(port)),
            *map(str, LITSERVE[name]),
        ]
        self.requests = [load.post("/predict", {"input": text}, {}) for text in texts]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                time.sleep(2)  # its workers load the model
                return self
            time.sleep(0.2)
        raise RuntimeError(f"{self.name} did not start")

    def __exit__(self, *exc: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)
        time.sleep(0.5)


def main() -> None:
    options = _options()
    texts = _texts(options.data)
    artifact = prepare_minilm(options.artifacts.resolve())
    rounds: dict[str, dict[int, list[dict[str, Any]]]] = {}
    bare: list[dict[str, float]] = []
    with ExitStack() as stack:
        installation = stack.enter_context(Installation(options.port))
        arguments = ("--artifact", str(artifact), "--name", MODEL.name, "--title", MODEL.title)
        installation.manage("register_model", *arguments)
        installation.wait_for(MODEL.name)
        contenders: list[Any] = [Ours(installation, options.port, texts)]
        contenders[0].pause()
        for number, name in enumerate(LITSERVE, 1):
            contenders.append(stack.enter_context(LitServe(name, artifact, options.port + number, texts)))
            contenders[-1].pause()
        same = _likeness(contenders, texts[:20])
        for repetition in range(options.repetitions):
            bare.append(_bare(artifact, texts, options.seconds / 4))
            for connections in CONNECTIONS:
                for contender in contenders[repetition % 2 :] + contenders[: repetition % 2]:
                    contender.go_on()
                    shifted = contender.requests[repetition * 997 % 5000 :] + contender.requests
                    result = load.run(
                        contender.port, shifted, connections=connections, warm_up=WARM_UP, seconds=options.seconds
                    )
                    contender.pause()
                    rounds.setdefault(contender.name, {}).setdefault(connections, []).append(result)
                    print(
                        f"{repetition} {connections:3} {contender.name:32} {result['requests_per_s']:7.1f}/s "
                        f"p95 {1000 * result['p95_s']:.0f} ms, {result['failed']} failed",
                        file=sys.stderr,
                    )
        contenders[0].go_on()
    _write(rounds, bare, same, options)


def _likeness(contenders: list[Any], texts: list[str]) -> float:
    """The smallest cosine between the same text's vectors from any two servers: they do the same work."""
    vectors = []
    for contender in contenders:
        contender.go_on()
        vectors.append([_vector(contender, place) for place in range(len(texts))])
        contender.pause()
    return min(_cosine(a, b) for other in vectors[1:] for a, b in zip(vectors[0], other, strict=True))


def _vector(contender: Any, place: int) -> array[float]:
    head, _, body = contender.requests[place].partition(b"\r\n\r\n")
    path = head.split()[1].decode()
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    request = urllib.request.Request(f"http://127.0.0.1:{contender.port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = json.load(answer)
    return array("f", base64.b64decode(found["embedding"] if "embedding" in found else found["data"][0]["embedding"]))


def _cosine(a: array[float], b: array[float]) -> float:
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


def _bare(artifact: Path, texts: list[str], seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.contenders.bare_minilm", str(artifact), str(seconds)]
    done = subprocess.run(command, input=json.dumps(texts[:2000]), capture_output=True, text=True, check=True)
    rates: dict[str, float] = json.loads(done.stdout)
    print("bare", {name: round(rate, 1) for name, rate in rates.items()}, file=sys.stderr)
    return rates


def _texts(data: Path) -> list[str]:
    path = data / "text" / "agnews" / "test.tsv"
    if not path.exists():
        sys.exit(f"AG News is missing: {path}. Name the folder with DATA_DIR or --data.")
    texts = [line.rsplit("\t", 1)[0] for line in path.read_text(encoding="utf8").splitlines()]
    tokenizer = Tokenizer.from_file(str(TOKENIZER.locate()))
    tokenizer.no_truncation()
    # Two of 7,600 are longer than what the model takes; each server refuses or breaks at them in its own way.
    lengths = [len(tokens) for tokens in tokenizer.encode_batch(texts)]
    return [text for text, length in zip(texts, lengths, strict=True) if length <= MAX_LENGTH]


def _medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("requests_per_s", "p50_s", "p95_s", "p99_s")
    medians: dict[str, Any] = {name: round(statistics.median(each[name] for each in rounds), 4) for name in names}
    medians["requests_per_s_rounds"] = [round(each["requests_per_s"], 1) for each in rounds]
    return medians | {"failed": sum(each["failed"] for each in rounds)}


def _write(rounds: Any, bare: list[dict[str, float]], same: float, options: argparse.Namespace) -> None:
    details = {name: {n: _medians(each) for n, each in by_n.items()} for name, by_n in rounds.items()}
    rates = {name: statistics.median(each[name] for each in bare) for name in bare[0]}
    arrival = {name: rate for name, rate in rates.items() if "sorted" not in name}
    ours = details.pop("ours")
    best = {n: max(details.values(), key=lambda each: each[n]["requests_per_s"])[n] for n in CONNECTIONS}
    default = {name: each for name, each in details.items() if "two workers" not in name}
    best_default = {n: max(default.values(), key=lambda each: each[n]["requests_per_s"])[n] for n in CONNECTIONS}
    summary: dict[str, Any] = {}
    for n in CONNECTIONS:
        rate = ours[n]["requests_per_s"]
        summary[f"requests_per_s_{n}"] = round(rate, 1)
        summary[f"requests_per_s_ratio_to_litserve_{n}"] = round(rate / best_default[n]["requests_per_s"], 3)
        summary[f"requests_per_s_ratio_to_litserve_any_setting_{n}"] = round(rate / best[n]["requests_per_s"], 3)
        summary[f"p95_s_{n}"] = ours[n]["p95_s"]
        summary[f"p95_ratio_to_litserve_{n}"] = round(ours[n]["p95_s"] / best_default[n]["p95_s"], 3)
        summary[f"p95_ratio_to_litserve_any_setting_{n}"] = round(ours[n]["p95_s"] / best[n]["p95_s"], 3)
    summary["bare_best_items_per_s"] = round(max(arrival.values()), 1)
    summary["share_of_bare_best"] = round(ours[32]["requests_per_s"] / max(arrival.values()), 3)
    summary["share_of_bare_best_8"] = round(ours[8]["requests_per_s"] / max(arrival.values()), 3)
    summary["failed"] = sum(ours[n]["failed"] for n in CONNECTIONS)
    result = {
        "summary": summary,
        "details": {
            "ours": ours,
            **details,
            "bare_items_per_s": {name: round(rate, 1) for name, rate in rates.items()},
            "smallest_cosine_between_servers": round(same, 5),
            "protocol": {
                "model": MODEL.title,
                "texts": "AG News test, in the order of the file",
                "litserve_settings": "max_batch_size, workers_per_device, threads a session: "
                + "; ".join(f"{name}: {values}" for name, values in LITSERVE.items())
                + "; batch_timeout 5 ms; `two workers` counts only in the figures named any_setting",
                "seconds_a_round": options.seconds,
                "repetitions": options.repetitions,
            },
        },
        "environment": environment(PACKAGES),
        "command": f"python -m benchmarks.encoder_serving --repetitions {options.repetitions} "
        f"--seconds {options.seconds:g}",
        "commit": commit(),
    }
    options.results.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("DATA_DIR", "../shared/data")))
    parser.add_argument("--artifacts", type=Path, default=Path(os.environ.get("VAR", "var")) / "artifacts")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--port", type=int, default=8110, help="and the four after it")
    parser.add_argument("--seconds", type=float, default=8.0, help="of a round")
    parser.add_argument("--repetitions", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
