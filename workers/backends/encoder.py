"""A model that answers in one pass, in a plain onnxruntime session. Inputs are asked from the session."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from .base import BackendError
from .heap import give_back
from .providers import providers

Feeds = dict[str, NDArray[Any]]
_TYPES = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}


class EncoderBackend(Protocol):
    """One thread owns it."""

    input_types: dict[str, Any]  # name -> numpy type
    output_names: list[str]

    def pin(self) -> None:
        """Keeps the calling thread where this backend computes."""

    def run(self, feeds: Feeds) -> NDArray[np.float32]:
        """The first output, or the one that was asked for."""

    def run_with(self, feeds: Feeds, *others: str) -> list[NDArray[np.float32]]:
        """The same and other outputs of the graph."""

    def close(self) -> None:
        """Gives the memory back. The backend cannot be used afterwards."""


class OrtEncoder:
    """`threads` compute one run; with `cores` they stay on these. Raises BackendError."""

    def __init__(
        self, model: Path, *, output: str = "", threads: int = 1, cores: tuple[int, ...] = (), device: str = "cpu"
    ) -> None:
        self._cores = set(cores)
        self._output = output
        try:
            self._session = ort.InferenceSession(
                str(model), _session_options(threads, cores), providers=providers(device)
            )
        except Exception as error:
            raise BackendError(f"{model.name} could not be loaded: {error}") from error
        give_back()
        self.input_types = {entry.name: _type(entry) for entry in self._session.get_inputs()}
        self.output_names = [entry.name for entry in self._session.get_outputs()]
        self._output = output or self.output_names[0]
        if self._output not in self.output_names:
            raise BackendError(f"The graph has no output {self._output}; it has {', '.join(self.output_names)}")

    def pin(self) -> None:
        """Keeps the calling thread, which takes part in each run, on the cores of this session."""
        if self._cores:
            os.sched_setaffinity(0, self._cores)

    def run(self, feeds: Feeds) -> NDArray[np.float32]:
        return np.asarray(self._session.run([self._output], feeds)[0], np.float32)

    def run_with(self, feeds: Feeds, *others: str) -> list[NDArray[np.float32]]:
        return [np.asarray(one, np.float32) for one in self._session.run([self._output, *others], feeds)]

    def close(self) -> None:
        del self._session
        give_back()


def _session_options(threads: int, cores: tuple[int, ...]) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A pattern is kept for each shape of the inputs, with a block of memory of its own; texts have many lengths.
    options.enable_mem_pattern = False
    # A thread that spins between two runs takes the core from the processes that bring the requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if cores and threads > 1:  # the calling thread is the first of them; onnxruntime counts cores from 1
        options.add_session_config_entry(
            "session.intra_op_thread_affinities", ";".join(str(core + 1) for core in cores[1:threads])
        )
    return options


def _type(entry: Any) -> Any:
    if entry.type not in _TYPES:
        raise BackendError(f"The input {entry.name} is a {entry.type}, which is not supported")
    return _TYPES[entry.type]
