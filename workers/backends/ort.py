"""A causal language model in a plain onnxruntime session, everything bound by pointer.

The graph is what onnxruntime-genai's model builder writes: `input_ids`, `attention_mask`,
`past_key_values.*` in, `logits`, `present.*` out. Past and present share their memory. Names,
types and sizes are asked from the session.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from .base import BackendError, Logits
from .memory import CacheMemory, CudaMemory, HostMemory

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_MASK_STEP = 64  # the mask grows in steps, so that it is bound anew only now and then
_PAST = re.compile(r"past_key_values\.(\d+)\.(key|value)")


class OrtBackend:
    """See Backend. `threads` 0 takes every core; `device` is cpu or cuda (cuda was never run so far)."""

    def __init__(
        self,
        model: Path,
        *,
        slots: int,
        context_length: int,
        head_dim: int,
        threads: int = 0,
        device: str = "cpu",
        device_id: int = 0,
    ) -> None:
        self.slots = slots
        self.context_length = context_length
        self.vocab_size = 0
        self._model = model
        self._head_dim = head_dim
        self._threads = threads
        self._device = device
        self._device_id = device_id
        self._bindings: dict[tuple[int, int], _Binding] = {}

    def load(self) -> None:
        try:
            self._session = ort.InferenceSession(
                str(self._model), _session_options(self._threads), providers=[self._provider()]
            )
        except Exception as error:
            raise BackendError(f"{self._model.name} could not be loaded: {error}") from error
        self._graph = _Graph(self._session, self._head_dim)
        self.vocab_size = self._graph.vocab_size
        self._memory = self._allocate()
        self._logits = np.empty((self.slots, 1, self.vocab_size), self._graph.logits_type)

    def warm_up(self) -> None:
        self.prefill(0, [0] * min(64, self.context_length - 1), 0)
        self.prefill(0, [0], min(64, self.context_length - 1))
        for rows in range(1, self.slots + 1):
            self.decode([0] * rows, [1] * rows)

    def prefill(self, slot: int, token_ids: Sequence[int], offset: int) -> Logits:
        binding = self._binding(slot, 1)
        binding.bind_ids(np.asarray([token_ids], np.int64))
        binding.bind_mask(np.ones((1, offset + len(token_ids)), np.int64))
        logits = self._logits[:1] if self._graph.pruned else self._all_logits(len(token_ids))
        binding.bind_logits(logits)
        self._session.run_with_iobinding(binding.io)
        return np.asarray(logits[0, -1], np.float32)

    def decode(self, token_ids: Sequence[int], lengths: Sequence[int]) -> Logits:
        rows = len(token_ids)
        binding = self._binding(0, rows)
        binding.bind_ids(np.asarray(token_ids, np.int64)[:, None])
        width = min(-(-(max(lengths) + 1) // _MASK_STEP) * _MASK_STEP, self.context_length)
        binding.bind_mask(np.asarray(np.arange(width) <= np.asarray(lengths)[:, None], np.int64))
        binding.bind_logits(self._logits[:rows])
        self._session.run_with_iobinding(binding.io)
        return np.asarray(self._logits[:rows, 0], np.float32)

    def copy(self, source: int, target: int, length: int) -> None:
        self._memory.copy(source, target, length)

    def swap(self, first: int, second: int, first_length: int, second_length: int) -> None:
        self._memory.swap(first, second, first_length, second_length)

    def close(self) -> None:
        self._bindings.clear()
        self._memory.close()
        del self._session

    def _provider(self) -> Any:
        if self._device == "cuda":
            return ("CUDAExecutionProvider", {"device_id": self._device_id})
        return "CPUExecutionProvider"

    def _allocate(self) -> CacheMemory:
        graph = self._graph
        shape = (len(graph.past), self.slots, graph.kv_heads, self.context_length, graph.head_dim)
        if self._device == "cuda":
            return CudaMemory(shape, graph.cache_type, self._device_id)
        return HostMemory(shape, graph.cache_type)

    def _binding(self, slot: int, rows: int) -> _Binding:
        key = (slot, rows)
        if key not in self._bindings:
            io = self._session.io_binding()
            binding = _Binding(io)
            binding.bind_cache(self._graph, self._memory, slot, (rows, self.context_length))
            self._bindings[key] = binding
        return self._bindings[key]

    def _all_logits(self, tokens: int) -> NDArray[Any]:
        """For a graph that computes the logits of every position."""
        return np.empty((1, tokens, self.vocab_size), self._graph.logits_type)


class _Graph:
    """Names, types and sizes of the session's inputs and outputs."""

    def __init__(self, session: ort.InferenceSession, head_dim: int) -> None:
        inputs = {entry.name: entry for entry in session.get_inputs()}
        self.past = sorted((name for name in inputs if _PAST.fullmatch(name)), key=_layer)
        known = {"input_ids", "attention_mask", *self.past}
        if missing := {"input_ids", "attention_mask"} - set(inputs):
            raise BackendError(f"The graph has no input {', '.join(sorted(missing))}")
        if unknown := set(inputs) - known:
            raise BackendError(f"The graph wants inputs unknown here: {', '.join(sorted(unknown))}")
        first = inputs[self.past[0]]
        self.cache_type = np.dtype(_TYPES[first.type])
        self.kv_heads = int(first.shape[1])
        # The builder leaves the width of the cache open, so the manifest has to tell it.
        self.head_dim = first.shape[3] if isinstance(first.shape[3], int) else head_dim
        logits = next(entry for entry in session.get_outputs() if entry.name == "logits")
        self.logits_type = np.dtype(_TYPES[logits.type])
        self.vocab_size = int(logits.shape[2])
        self.pruned = logits.shape[1] == 1
        self.present = [name.replace("past_key_values", "present") for name in self.past]


class _Binding:
    """One IO binding: the cache rows are bound once, the small arrays when they change.

    onnxruntime keeps pointers, not references; the arrays live as attributes here.
    """

    def __init__(self, io: Any) -> None:
        self.io = io
        self._ids = np.empty((0, 0), np.int64)
        self._mask = np.empty((0, 0), np.int64)
        self._logits_at = (0, 0)

    def bind_cache(self, graph: _Graph, memory: CacheMemory, slot: int, size: tuple[int, int]) -> None:
        rows, length = size
        shape = (rows, graph.kv_heads, length, graph.head_dim)
        for array, (past, present) in enumerate(zip(graph.past, graph.present, strict=True)):
            place = (memory.device, memory.device_id, graph.cache_type, shape, memory.pointer(array, slot))
            self.io.bind_input(past, *place)
            self.io.bind_output(present, *place)

    def bind_ids(self, ids: NDArray[np.int64]) -> None:
        if self._ids.shape == ids.shape:
            self._ids[:] = ids
            return
        self._ids = ids
        self.io.bind_input("input_ids", "cpu", 0, np.int64, ids.shape, ids.ctypes.data)

    def bind_mask(self, mask: NDArray[np.int64]) -> None:
        if self._mask.shape == mask.shape:
            self._mask[:] = mask
            return
        self._mask = mask
        self.io.bind_input("attention_mask", "cpu", 0, np.int64, mask.shape, mask.ctypes.data)

    def bind_logits(self, logits: NDArray[Any]) -> None:
        place = (logits.ctypes.data, logits.shape[1])
        if self._logits_at != place:
            self._logits_at = place
            self.io.bind_output("logits", "cpu", 0, logits.dtype, logits.shape, logits.ctypes.data)


def _layer(name: str) -> tuple[int, str]:
    match = _PAST.fullmatch(name)
    assert match
    return int(match[1]), match[2]


def _session_options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Shapes change with every step: a plan per shape would only pile up.
    options.enable_mem_pattern = False
    return options
