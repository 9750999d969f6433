"""What everything around the model costs: time added and CPU used by key check, limits, admission, routing, broker,
claim, stream and settlement, with a backend that computes nothing.

python -m benchmarks.gateway [--port 8200] [--seconds 12] [--repetitions 2]

HTTP, Redis, PostgreSQL and Celery as in production, processes of the Procfile, on the cores that the load client uses
as well. Open loop: requests are sent at the rate, whether or not answers come. Three rounds a repetition:

- `request`: a chat completion that is not streamed, one token from a backend that needs no time. All of its time is
  ours, so all of it is reported as overhead.
- `stream`: 20 tokens, the backend sleeps 10 ms for each but the first. Overhead is the time beyond that.
- `most`: as `request`, 32 connections that send their next request when the last is answered.

CPU is that of all our processes (web, worker, worker-app, beat), engine and idle work included; the two servers
(PostgreSQL, Valkey) and the client stand beside it in the details.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import load, open_load
from benchmarks.environment import commit, environment
from benchmarks.installation import Installation
from benchmarks.open_load import OpenLoad

RESULTS = Path(__file__).parent / "results" / "gateway.json"
RATE = 100.0
CONNECTIONS = 32
TOKENS = 20
STEP = 0.01  # seconds
FAST, PACED = "gateway", "gateway-paced"
SERVERS = ("postgresql", "valkey")
PACKAGES = ("django", "django-ninja", "celery", "uvicorn", "redis", "psycopg")
# A limit of every metric, in a sliding and a calendar window, of the organisation, every person and every key; none is
# reached. With the one on requests at once a request passes 27 counters.
LIMITS = """
from apps.quotas.models import Metric, Scope, Window
from apps.quotas.services import set_limit
for scope in (Scope.ORGANIZATION, Scope.USER, Scope.KEY):
    for metric in (Metric.REQUESTS, Metric.INPUT_TOKENS, Metric.OUTPUT_TOKENS, Metric.COMPUTE_SECONDS):
        for window in (Window.MINUTE, Window.MONTH):
            set_limit(scope=scope, metric=metric, window=window, amount=10**9, actor=None)
    set_limit(scope=scope, metric=Metric.CONCURRENT_REQUESTS, window=Window.NOW, amount=10**6, actor=None)
"""


class Round:
    """One measured stretch of time."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.cpu: dict[str, float] = {}  # seconds by process

    @contextmanager
    def counted(self) -> Iterator[None]:
        before = self._installation.cpu_seconds()
        yield
        time.sleep(1.5)  # what ended is settled within a second
        after = self._installation.cpu_seconds()
        self.cpu = {name: after[name] - before[name] for name in after}

    def cpu_ms(self, count: int) -> float:
        """Of our own processes, for each of `count`."""
        return 1000 * sum(used for name, used in self.cpu.items() if name not in SERVERS) / count


def main() -> None:
    options = _options()
    rounds: dict[str, list[dict[str, Any]]] = {"idle": [], "request": [], "stream": [], "most": []}
    with Installation(options.port, worker="benchmarks.fake_worker") as installation:
        installation.manage("shell", "-c", LIMITS)
        for name, seconds in ((FAST, 0.0), (PACED, STEP)):
            installation.deploy_fake(name, step_seconds=seconds)
        open_load.run(options.port, _request(installation, FAST, 1), rate=50, seconds=3)
        open_load.run(options.port, _request(installation, PACED, TOKENS, stream=True), rate=20, seconds=2)
        for repetition in range(options.repetitions):
            for name, measure in (("idle", _idle), ("request", _open), ("stream", _stream), ("most", _most)):
                rounds[name].append(measure(installation, options))
                print(repetition, name, json.dumps(rounds[name][-1]), file=sys.stderr)
    _write(rounds, options)


def _request(installation: Installation, model: str, tokens: int, *, stream: bool = False) -> bytes:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": stream,
    }
    return load.post("/v1/chat/completions", body, {"Authorization": f"Bearer {installation.key}"})


def _idle(installation: Installation, options: argparse.Namespace) -> dict[str, Any]:
    measured = Round(installation)
    with measured.counted():
        time.sleep(3.5)
    return {"cpu_ms_per_s": round(measured.cpu_ms(5), 2), "cpu_ms_per_s_by_process": _by_process(measured, 5)}


def _open(installation: Installation, options: argparse.Namespace) -> dict[str, Any]:
    request = _request(installation, FAST, 1)
    measured = Round(installation)
    with measured.counted():
        done = open_load.run(options.port, request, rate=RATE, seconds=options.seconds)
    overheads = [answer.last for answer in done.answers]
    return {**_figures(done, overheads), **_cpu(measured, done)}


def _stream(installation: Installation, options: argparse.Namespace) -> dict[str, Any]:
    request = _request(installation, PACED, TOKENS, stream=True)
    measured = Round(installation)
    with measured.counted():
        done = open_load.run(options.port, request, rate=options.streams, seconds=options.seconds)
    overheads = [answer.last - (TOKENS - 1) * STEP for answer in done.answers]
    first = [1000 * answer.first for answer in done.answers]
    return {
        **_figures(done, overheads),
        **_cpu(measured, done),
        "first_ms_p50": round(_quantile(first, 0.5), 2),
        "first_ms_p95": round(_quantile(first, 0.95), 2),
        "events_per_stream": round(statistics.mean(answer.events for answer in done.answers), 1),
    }


def _most(installation: Installation, options: argparse.Namespace) -> dict[str, Any]:
    request = _request(installation, FAST, 1)
    found = load.run(options.port, [request], connections=CONNECTIONS, warm_up=1, seconds=options.seconds)
    return {name: round(value, 4) for name, value in found.items()}


def _figures(done: OpenLoad, overheads: list[float]) -> dict[str, Any]:
    """Quantiles of milliseconds. Raises SystemExit when nothing was answered."""
    if not done.answers:
        sys.exit(f"none of {done.lost} requests was answered")
    admissions = [answer.admission_ms for answer in done.answers if answer.admission_ms is not None]
    figures = {f"overhead_ms_p{percent}": _percentile_ms(overheads, percent) for percent in (50, 95, 99)}
    figures |= {f"admission_ms_p{percent}": round(_quantile(admissions, percent / 100), 3) for percent in (50, 95)}
    sent_late = _percentile_ms(done.lateness, 95)
    return {**figures, "answers": len(done.answers), "failed": done.failed, "sent_late_ms_p95": sent_late}


def _percentile_ms(values: list[float], percent: int) -> float:
    return round(1000 * _quantile(values, percent / 100), 2)


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


def _cpu(measured: Round, done: OpenLoad) -> dict[str, Any]:
    count = len(done.answers)
    return {"cpu_ms": round(measured.cpu_ms(count), 3), "cpu_ms_by_process": _by_process(measured, count)}


def _by_process(measured: Round, count: int) -> dict[str, float]:
    return {name: round(1000 * used / count, 3) for name, used in measured.cpu.items()}


def _write(rounds: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> None:
    def median(name: str, figure: str) -> float:
        return round(statistics.median(one[figure] for one in rounds[name]), 3)

    summary = {
        "overhead_ms_p50": median("request", "overhead_ms_p50"),
        "overhead_ms_p95": median("request", "overhead_ms_p95"),
        "admission_ms_p95": median("request", "admission_ms_p95"),
        "cpu_ms_per_request": median("request", "cpu_ms"),
        "cpu_ms_per_stream": median("stream", "cpu_ms"),
        "stream_first_ms_p95": median("stream", "first_ms_p95"),
        "stream_overhead_ms_p95": median("stream", "overhead_ms_p95"),
        "max_requests_per_s": median("most", "requests_per_s"),
        "failed": sum(one.get("failed", 0) for each in rounds.values() for one in each),
    }
    result = {
        "summary": summary,
        "details": {
            "rounds": rounds,
            "limits": LIMITS.strip().splitlines(),
            "protocol": {
                "requests_per_s": RATE,
                "streams_per_s": options.streams,
                "tokens_per_stream": TOKENS,
                "step_seconds_of_streams": STEP,
                "connections_of_most": CONNECTIONS,
                "seconds_a_round": options.seconds,
                "repetitions": options.repetitions,
            },
        },
        "environment": environment(PACKAGES),
        "command": f"python -m benchmarks.gateway --seconds {options.seconds:g} --repetitions {options.repetitions}",
        "commit": commit(),
    }
    options.results.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--port", type=int, default=8200)
    parser.add_argument("--seconds", type=float, default=12.0, help="of a round")
    parser.add_argument("--streams", type=float, default=50.0, help="streams a second")
    parser.add_argument("--repetitions", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
