"""A causal language model in a plain onnxruntime session, everything bound by pointer.

The graph is what onnxruntime-genai's model builder writes: `input_ids`, `attention_mask`,
`past_key_values.*` in, `logits`, `present.*` out; a mixture of experts has `picks` too
(workers/export/moe.py). Past and present share their memory. Names, types and sizes are asked from
the session.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from .base import BackendError, Logits, Picks
from .memory import CacheMemory, CudaMemory, HostMemory
from .providers import providers

_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_MASK_STEP = 64  # the mask grows in steps, so that it is bound anew only now and then
_PAST = re.compile(r"past_key_values\.(\d+)\.(key|value)")


class OrtBackend:
    """See Backend. `threads` 0 takes every core; `device` is cpu, cuda or tensorrt (see providers.py)."""

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
        fp16: bool = False,
        engine_cache: Path | None = None,
    ) -> None:
        self.slots = slots
        self.context_length = context_length
        self.vocab_size = 0
        self.picks: Picks | None = None
        self._model = model
        self._head_dim = head_dim
        self._threads = threads
        self._device = device
        self._device_id = device_id
        self._providers = providers(device, device_id=device_id, fp16=fp16, engine_cache=engine_cache)
        self._prefills: dict[int, _Prefill] = {}  # by slot
        self._decodes: dict[int, _Decode] = {}  # by number of rows

    def load(self) -> None:
        try:
            self._session = ort.InferenceSession(
                str(self._model), _session_options(self._threads), providers=self._providers
            )
        except Exception as error:
            raise BackendError(f"{self._model.name} could not be loaded: {error}") from error
        self._graph = _Graph(self._session, self._head_dim)
        self.vocab_size = self._graph.vocab_size
        self._memory = self._allocate()
        self._logits = np.empty((self.slots, 1, self.vocab_size), self._graph.logits_type)
        self._picks = np.empty((self.slots, *self._graph.picks), np.int64) if self._graph.picks else None

    def warm_up(self) -> None:
        self.prefill(0, [0] * min(64, self.context_length - 1), 0)
        self.prefill(0, [0], min(64, self.context_length - 1))
        for rows in range(1, self.slots + 1):
            self.decode([0] * rows, [1] * rows)

    def prefill(self, slot: int, token_ids: Sequence[int], offset: int) -> Logits:
        binding = self._prefills.get(slot) or self._prefill_binding(slot)
        logits = self._logits[:1] if self._graph.pruned else self._all_logits(len(token_ids))
        binding.fill(token_ids, offset, logits)
        self._session.run_with_iobinding(binding.io)
        self.picks = None if self._picks is None else self._picks[:1]
        return np.asarray(logits[0, -1], np.float32)

    def decode(self, token_ids: Sequence[int], lengths: Sequence[int]) -> Logits:
        binding = self._decodes.get(len(token_ids)) or self._decode_binding(len(token_ids))
        binding.fill(token_ids, lengths)
        self._session.run_with_iobinding(binding.io)
        self.picks = None if self._picks is None else self._picks[: len(token_ids)]
        return np.asarray(binding.logits[:, 0], np.float32)

    def copy(self, source: int, target: int, length: int) -> None:
        self._memory.copy(source, target, length)

    def swap(self, first: int, second: int, first_length: int, second_length: int) -> None:
        self._memory.swap(first, second, first_length, second_length)

    def close(self) -> None:
        self._prefills.clear()
        self._decodes.clear()
        self._memory.close()
        del self._session

    def _allocate(self) -> CacheMemory:
        graph = self._graph
        shape = (len(graph.past), self.slots, graph.kv_heads, self.context_length, graph.head_dim)
        if self._device != "cpu":
            return CudaMemory(shape, graph.cache_type, self._device_id)
        return HostMemory(shape, graph.cache_type)

    def _prefill_binding(self, slot: int) -> _Prefill:
        self._prefills[slot] = _Prefill(self._cache_binding(slot, 1))
        return self._prefills[slot]

    def _decode_binding(self, rows: int) -> _Decode:
        self._decodes[rows] = _Decode(self._cache_binding(0, rows), self._logits[:rows], self.context_length)
        return self._decodes[rows]

    def _cache_binding(self, slot: int, rows: int) -> Any:
        """An IO binding whose past and present are rows slot.. of the cache."""
        io, graph, memory = self._session.io_binding(), self._graph, self._memory
        shape = (rows, graph.kv_heads, self.context_length, graph.head_dim)
        for array, (past, present) in enumerate(zip(graph.past, graph.present, strict=True)):
            place = (memory.device, memory.device_id, graph.cache_type, shape, memory.pointer(array, slot))
            io.bind_input(past, *place)
            io.bind_output(present, *place)
        if self._picks is not None:
            _bind(io.bind_output, "picks", self._picks[:rows])
        return io

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
        picks = next((entry for entry in session.get_outputs() if entry.name == "picks"), None)
        self.picks = tuple(picks.shape[1:]) if picks else ()  # layers, K
        self.present = [name.replace("past_key_values", "present") for name in self.past]


class _Prefill:
    """The binding of one slot. onnxruntime keeps pointers, not references: arrays live as attributes."""

    def __init__(self, io: Any) -> None:
        self.io = io

    def fill(self, token_ids: Sequence[int], offset: int, logits: NDArray[Any]) -> None:
        self._ids = np.asarray([token_ids], np.int64)
        self._mask = np.ones((1, offset + len(token_ids)), np.int64)
        self._logits = logits
        _bind(self.io.bind_input, "input_ids", self._ids)
        _bind(self.io.bind_input, "attention_mask", self._mask)
        _bind(self.io.bind_output, "logits", logits)


class _Decode:
    """The binding of the first rows. Between two steps nearly nothing changes, so nearly nothing is done."""

    def __init__(self, io: Any, logits: NDArray[Any], context_length: int) -> None:
        self.io = io
        self.logits = logits
        self._context_length = context_length
        self._ids = np.zeros((len(logits), 1), np.int64)
        self._mask = np.empty((len(logits), 0), np.int64)
        self._rows = np.arange(len(logits))
        self._expected: list[int] = []
        _bind(io.bind_input, "input_ids", self._ids)
        _bind(io.bind_output, "logits", logits)

    def fill(self, token_ids: Sequence[int], lengths: Sequence[int]) -> None:
        self._ids[:, 0] = token_ids
        if lengths == self._expected and max(lengths) < self._mask.shape[1]:
            self._mask[self._rows, lengths] = 1  # every row has grown by one
        else:
            self._fill_mask(lengths)
        self._expected = [length + 1 for length in lengths]

    def _fill_mask(self, lengths: Sequence[int]) -> None:
        width = min(-(-(max(lengths) + 1) // _MASK_STEP) * _MASK_STEP, self._context_length)
        mask = np.asarray(np.arange(width) <= np.asarray(lengths)[:, None], np.int64)
        if mask.shape == self._mask.shape:
            self._mask[:] = mask
        else:
            self._mask = mask
            _bind(self.io.bind_input, "attention_mask", mask)


def _bind(method: Callable[..., None], name: str, array: NDArray[Any]) -> None:
    method(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


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
