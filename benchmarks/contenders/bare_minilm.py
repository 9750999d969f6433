"""Bare onnxruntime on the same texts, tokenised beforehand: what is left when nothing serves it.

python -m benchmarks.contenders.bare_minilm ARTIFACT SECONDS < texts as a JSON list > items a second by setting
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from contracts.messages import RevisionSpec
from workers.backends.encoder import OrtEncoder
from workers.pipelines.feature_extraction import TASK, FeatureExtraction

BATCH_SIZES = (1, 2, 4, 8, 16, 32)


def main() -> None:
    artifact, seconds = Path(sys.argv[1]), float(sys.argv[2])
    pipeline = FeatureExtraction(artifact, RevisionSpec("m@1", "m", TASK, str(artifact), ""))
    ids = [pipeline._tokenizer.prepare({"texts": [text]})[0].payload for text in json.load(sys.stdin)]
    rates = {}
    for lanes, threads in ((1, 2), (2, 1)):
        opened = [pipeline.lane(OrtEncoder(artifact / "model.onnx", threads=threads)) for _ in range(lanes)]
        for size in BATCH_SIZES:
            rates[f"{lanes}x{threads} batch {size}"] = _rate(opened, ids, size, seconds)
        # What only somebody who has 32 texts at once can do: neighbours in length together.
        rates[f"{lanes}x{threads} batch 4 of 32 sorted"] = _rate(opened, _sorted_by_32(ids), 4, seconds)
    print(json.dumps(rates))


def _sorted_by_32(ids: list[list[int]]) -> list[list[int]]:
    return [one for start in range(0, len(ids), 32) for one in sorted(ids[start : start + 32], key=len)]


def _rate(lanes: list[Any], ids: list[list[int]], size: int, seconds: float) -> float:
    """Items a second over all lanes, each with a thread and a part of the texts of its own."""
    counts = [0] * len(lanes)
    ends = time.perf_counter() + seconds

    def work(number: int) -> None:
        place = number * (len(ids) // len(lanes) // 32 * 32)
        while time.perf_counter() < ends:
            lanes[number].run(ids[place : place + size])
            counts[number] += size
            place = (place + size) % (len(ids) - size)

    started = time.perf_counter()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(lanes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
