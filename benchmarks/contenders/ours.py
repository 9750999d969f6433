"""workers.engine. python -m benchmarks.contenders.ours ARTIFACT THREADS"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from contracts.messages import Event, InferenceRequest, RevisionSpec, StreamEvent
from workers.engine.engine import Engine
from workers.pipelines.text_generation import load_engine


class _Stopwatch:
    """A sink that keeps when the first and the last tokens of each request came out."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.last = 0.0
        self.tokens = 0

    def write(self, events: list[StreamEvent]) -> set[str]:
        now = time.perf_counter()
        for event in events:
            if event.event == Event.DELTA:
                self.first.setdefault(event.request_id, now)
                self.tokens += len(event.data["token_ids"])
                self.last = now
        return set()


class _TokenIds:
    """Hands the prompt's token ids through, as the other contenders get them too."""

    def __init__(self, encoder: Any) -> None:
        self.vocabulary = encoder.vocabulary
        self.eos_ids = encoder.eos_ids

    def encode(self, inputs: dict[str, Any]) -> list[int]:
        return list(inputs["token_ids"])


def main(artifact: Path, threads: int) -> None:
    watch = _Stopwatch()
    spec = RevisionSpec(
        "benchmark", "benchmark", "text-generation", str(artifact), "", max_batch_size=16, context_length=1024
    )
    engine = load_engine(artifact, spec, watch, threads=threads, wrap_encoder=_TokenIds)
    engine.start()
    for number, line in enumerate(sys.stdin):
        print(json.dumps(_run(engine, watch, json.loads(line), number)), flush=True)
    engine.close()


def _run(engine: Engine, watch: _Stopwatch, work: dict[str, Any], number: int) -> dict[str, Any]:
    watch.first.clear()
    watch.tokens = 0
    before = engine.stats()
    started = time.perf_counter()
    futures = []
    for stream, (prompt, arrival) in enumerate(zip(work["prompts"], work["arrivals"], strict=True)):
        time.sleep(max(0.0, started + arrival - time.perf_counter()))
        params = {"temperature": 0, "max_tokens": work["new_tokens"], "ignore_eos": True}
        request = InferenceRequest(f"{number}-{stream}", "", "text-generation", {"token_ids": prompt}, params)
        futures.append(engine.submit(request))
    for future in futures:
        future.result()
    arrivals = [started + arrival for arrival in work["arrivals"]]
    first = [watch.first[f"{number}-{stream}"] - arrival for stream, arrival in enumerate(arrivals)]
    cached = engine.stats().cached_tokens - before.cached_tokens
    return {"tokens": watch.tokens, "seconds": watch.last - started, "first": first, "cached_tokens": cached}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
