"""What a graph answers and how long it takes. One thread, so that figures do not depend on the machine's cores."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from workers.data.corpus import Example

Feed = dict[str, NDArray[np.int64]]
_ROUNDS = 5


def session(graph: Path, threads: int = 1) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def feeds(
    examples: Sequence[Example], tokenizer: Tokenizer, longest: int, batch: int
) -> Iterator[tuple[Feed, list[int]]]:
    """Padded batches of texts of nearly the same length, with their labels."""
    rows = [encoding.ids[:longest] for encoding in tokenizer.encode_batch_fast([text for text, _ in examples])]
    places = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    for begin in range(0, len(places), batch):
        chosen = places[begin : begin + batch]
        ids = np.zeros((len(chosen), len(rows[chosen[-1]])), np.int64)
        mask = np.zeros_like(ids)
        for row, place in enumerate(chosen):
            ids[row, : len(rows[place])], mask[row, : len(rows[place])] = rows[place], 1
        yield {"input_ids": ids, "attention_mask": mask}, [examples[place][1] for place in chosen]


def accuracy(graph: Path, examples: Sequence[Example], tokenizer: Tokenizer, longest: int) -> float:
    opened, right = session(graph), 0
    for feed, labels in feeds(examples, tokenizer, longest, 32):
        (logits,) = opened.run(["logits"], feed)
        right += int((logits.argmax(-1) == np.asarray(labels)).sum())
    return right / len(examples)


def latencies(graphs: dict[str, Path], length: int, *, runs: int = 20) -> dict[str, float]:
    """Median milliseconds of one text of that length; the graphs take turns, so that all share what else goes on."""
    ones = np.ones((1, length), np.int64)  # which token it is takes no time
    feed = {"input_ids": ones, "attention_mask": ones}
    opened = {name: session(graph) for name, graph in graphs.items()}
    times: dict[str, list[float]] = {name: [] for name in graphs}
    for turn in range(_ROUNDS + 1):
        for name, one in opened.items():
            for _ in range(runs // _ROUNDS):
                began = time.perf_counter()
                one.run(["logits"], feed)
                if turn:  # the first round warms up
                    times[name].append(1000 * (time.perf_counter() - began))
    return {name: round(statistics.median(found), 3) for name, found in times.items()}


def machine() -> str:
    """Processor, onnxruntime; nothing that names one machine."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, onnxruntime {ort.__version__}"
