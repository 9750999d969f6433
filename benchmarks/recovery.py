"""kill -9 of workers and restarts of Redis under load: what is lost, what is doubled, how long it takes.

    python -m benchmarks.recovery [--url http://127.0.0.1:8000 --var var] [--identity-model FP32]

starts an installation of its own unless --url names one. First come the outages (outages.py); then, with an
identity model, a kill while eight answers are written. With an fp32 export the disturbed text must equal an
undisturbed greedy run; int4 may continue differently, since prefill and one-row decode kernels differ in the
last bits.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import redis
from openai import OpenAI

from benchmarks import outages
from benchmarks.environment import commit, environment
from benchmarks.installation import supervised
from contracts import names
from contracts.messages import WorkerLease
from tests.e2e.stack import EMAIL, Stack

RESULTS = Path(__file__).parent / "results" / "recovery.json"
STREAMS = 8
PROMPT = "Write a very long story about a lighthouse keeper, day by day, for {} days. Never stop writing."


@dataclass
class Stream:
    """One answer as the client saw it, and what Redis kept of it."""

    request_id: str = ""
    text: str = ""
    completion_tokens: int = 0
    finish_reason: str = ""
    seconds: float = 0.0
    longest_pause: float = 0.0
    streamed_text: str = ""  # the deltas in Redis, put together
    token_ids: tuple[int, ...] = ()
    seqs_without_gap: bool = False
    attempts: int = 0


@dataclass
class Kill:
    undisturbed: list[Stream]
    disturbed: list[Stream]
    seconds_to_last_end: float  # from the kill to the end of the last stream
    seconds_undisturbed: float  # of the longest undisturbed stream


def run(*, url: str, key: str, redis_url: str, model: str, tokens: int, kill_after: float) -> Kill:
    client = OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=120)
    store = redis.Redis.from_url(redis_url, decode_responses=True)
    with ThreadPoolExecutor(STREAMS) as pool:
        undisturbed = list(pool.map(lambda place: ask(client, store, model, tokens, place), range(STREAMS)))
        running = [pool.submit(ask, client, store, model, tokens, place) for place in range(STREAMS)]
        time.sleep(kill_after)
        killed = time.perf_counter()
        for lease in map(WorkerLease.from_json, store.hvals(names.WORKERS_KEY)):
            os.kill(lease.pid, signal.SIGKILL)
        disturbed = [future.result() for future in running]
        took = time.perf_counter() - killed
    return Kill(undisturbed, disturbed, took, max(stream.seconds for stream in undisturbed))


def ask(client: OpenAI, store: redis.Redis, model: str, tokens: int, place: int) -> Stream:
    stream = Stream()
    started = previous = time.perf_counter()
    messages = [{"role": "user", "content": PROMPT.format(100 + place)}]
    chunks = client.chat.completions.create(
        model=model,
        messages=messages,
        temperature=0,
        max_tokens=tokens,
        stream=True,
        stream_options={"include_usage": True},
    )
    for chunk in chunks:
        stream.request_id = chunk.id.removeprefix("chatcmpl-")
        now = time.perf_counter()
        stream.longest_pause = max(stream.longest_pause, now - previous)
        previous = now
        for choice in chunk.choices:
            stream.text += choice.delta.content or ""
            stream.finish_reason = choice.finish_reason or stream.finish_reason
        if chunk.usage:
            stream.completion_tokens = chunk.usage.completion_tokens
    stream.seconds = previous - started
    look_at_redis(store, stream)
    return stream


def look_at_redis(store: redis.Redis, stream: Stream) -> None:
    entries = store.xrange(names.stream_key(stream.request_id))
    deltas = [json.loads(fields["data"]) for _, fields in entries if fields["event"] == "delta"]
    stream.streamed_text = "".join(delta["text"] for delta in deltas)
    stream.token_ids = tuple(token for delta in deltas for token in delta["token_ids"])
    stream.seqs_without_gap = [entry for entry, _ in entries] == [f"{seq}-0" for seq in range(1, len(entries) + 1)]
    stream.attempts = int(store.hget(names.request_key(stream.request_id), "attempt"))


def identity(stack: Stack, model: str, tokens: int, rounds: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Eight answers with a kill in the middle beside the same eight without: summary and one row a stream."""
    key = stack.manage("create_api_key", EMAIL).strip()
    kills = []
    for turn in range(rounds):
        kill = run(
            url=stack.url,
            key=key,
            redis_url=outages.setting(stack, "REDIS_URL"),
            model=model,
            tokens=tokens,
            kill_after=1.5 + turn,
        )
        kills.append(kill)
        print(turn, f"{kill.seconds_to_last_end:.1f} s to the last end, undisturbed {kill.seconds_undisturbed:.1f} s")
        time.sleep(10)
    pairs = [pair for kill in kills for pair in zip(kill.undisturbed, kill.disturbed, strict=True)]
    summary = {
        "streams": len(pairs),
        "streams_resumed": sum(after.attempts > 1 for _, after in pairs),
        "streams_complete": sum(after.completion_tokens == tokens for _, after in pairs),
        "texts_equal_to_undisturbed": sum(before.text == after.text for before, after in pairs),
        "token_ids_equal_to_undisturbed": sum(before.token_ids == after.token_ids for before, after in pairs),
        "seconds_kill_to_last_end_max": round(max(kill.seconds_to_last_end for kill in kills), 2),
        "seconds_longest_pause_median": round(statistics.median(after.longest_pause for _, after in pairs), 2),
        "seconds_undisturbed_max": round(max(kill.seconds_undisturbed for kill in kills), 2),
    }
    rows = [
        {name: value for name, value in asdict(after).items() if name not in {"text", "streamed_text", "token_ids"}}
        for _, after in pairs
    ]
    return summary, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an installation that runs; without it one is started in --var")
    parser.add_argument("--var", type=Path, default=Path("var/benchmark"))
    parser.add_argument("--model", default="smollm2-135m", help="for the outages")
    parser.add_argument("--identity-model", default="", help="an fp32 deployment; empty leaves this part out")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=5)
    options = parser.parse_args()
    with supervised(options.url, options.var) as stack:
        figures = outages.run(stack, model=options.model, kills=options.kills, restarts=options.restarts)
        details = {name: figures.pop(name) for name in ("programs", "people")}
        summary, rows = {}, []
        if options.identity_model:
            summary, rows = identity(stack, options.identity_model, options.tokens, options.rounds)
    print(json.dumps({**figures, **summary}, indent=1))
    results = {
        "summary": {**figures, **summary},
        "details": {**details, "model": options.model, "identity_model": options.identity_model, "streams": rows},
        "environment": environment(("onnxruntime", "redis", "celery", "supervisor")),
        "command": "python -m benchmarks.recovery " + " ".join(sys.argv[1:]),
        "commit": commit(),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
