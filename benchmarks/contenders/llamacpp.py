"""llama.cpp with continuous batching. PYTHON llamacpp.py MODEL.gguf THREADS

Runs under any interpreter that can import llama_cpp; needs nothing of this project. Batches the way
llama.cpp's own server does: a token of every running stream, then prompts up to 512 tokens.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from typing import Any

import llama_cpp
import numpy as np

_STREAMS, _LENGTH, _BATCH = 16, 1024, 512


class Streams:
    """A llama.cpp context with one sequence per stream."""

    def __init__(self, model: str, threads: int) -> None:
        llama_cpp.llama_log_set(_SILENT, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(model.encode(), llama_cpp.llama_model_default_params())
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = _STREAMS * _LENGTH
        parameters.n_batch = parameters.n_ubatch = _BATCH
        parameters.n_seq_max = _STREAMS
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.kv_unified = True
        self._context = llama_cpp.llama_init_from_model(self._model, parameters)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._batch = llama_cpp.llama_batch_init(_BATCH, 0, 1)

    def clear(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), False)

    def step(self, entries: list[tuple[int, int, int, bool]]) -> list[int]:
        """Decodes (stream, token, position, wants logits); greedy token ids where they are wanted."""
        for index, (stream, token, position, wanted) in enumerate(entries):
            self._batch.token[index] = token
            self._batch.pos[index] = position
            self._batch.n_seq_id[index] = 1
            self._batch.seq_id[index][0] = stream
            self._batch.logits[index] = wanted
        self._batch.n_tokens = len(entries)
        if llama_cpp.llama_decode(self._context, self._batch):
            raise RuntimeError("llama_decode failed")
        return [self._greedy(index) for index, entry in enumerate(entries) if entry[3]]

    def _greedy(self, index: int) -> int:
        logits = llama_cpp.llama_get_logits_ith(self._context, index)
        return int(np.ctypeslib.as_array(logits, (self._vocabulary,)).argmax())


def run(streams: Streams, work: dict[str, Any]) -> dict[str, Any]:
    streams.clear()
    tokens = [list(prompt) for prompt in work["prompts"]]
    goals = [len(prompt) + work["new_tokens"] for prompt in tokens]
    computed = [0] * len(tokens)
    first: dict[int, float] = {}
    last = 0.0
    started = time.perf_counter()
    while live := [stream for stream, goal in enumerate(goals) if len(tokens[stream]) < goal]:
        now = time.perf_counter() - started
        entries = _entries([stream for stream in live if work["arrivals"][stream] <= now], tokens, computed)
        if not entries:
            time.sleep(0.0005)
            continue
        sampled = streams.step(entries)
        last = time.perf_counter() - started
        for (stream, *_), token in zip([entry for entry in entries if entry[3]], sampled, strict=True):
            tokens[stream].append(token)
            first.setdefault(stream, last - work["arrivals"][stream])
    made = len(tokens) * work["new_tokens"]
    return {"tokens": made, "seconds": last, "first": [first[stream] for stream in range(len(tokens))]}


def _entries(arrived: list[int], tokens: list[list[int]], computed: list[int]) -> list[tuple[int, int, int, bool]]:
    """Running streams before prompts, as much as a batch takes."""
    entries: list[tuple[int, int, int, bool]] = []
    for stream in sorted(arrived, key=lambda one: (len(tokens[one]) - computed[one] > 1, one)):
        start = computed[stream]
        end = min(len(tokens[stream]), start + _BATCH - len(entries))
        last = len(tokens[stream]) - 1
        entries += [(stream, tokens[stream][at], at, at == last) for at in range(start, end)]
        computed[stream] = end
    return entries


@llama_cpp.llama_log_callback
def _SILENT(level: int, text: bytes, data: object) -> None:
    pass


if __name__ == "__main__":
    contender = Streams(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        print(json.dumps(run(contender, json.loads(line))), flush=True)
