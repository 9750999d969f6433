"""Where the key-value cache lives: one block [layers * 2, slots, kv_heads, length, head_dim].

A layer's keys or values are one contiguous piece of it, a row of a layer too, so both bind by
pointer; a prefix of a row is copied for all layers in one call.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import mmap
from typing import Any, Protocol

import numpy as np

from .base import BackendError

Shape = tuple[int, int, int, int, int]


class CacheMemory(Protocol):
    device: str
    device_id: int

    def pointer(self, array: int, slot: int) -> int:
        """Address of row `slot` of the keys (even) or values (odd) of layer `array // 2`."""

    def copy(self, source: int, target: int, length: int) -> None: ...

    def swap(self, first: int, second: int, first_length: int, second_length: int) -> None: ...

    def close(self) -> None: ...


class HostMemory:
    """In main memory. Pages are taken from the system only when a row grows into them.

    Small pages: with huge ones the first token of a row would take the memory of the whole row.
    """

    device = "cpu"
    device_id = 0

    def __init__(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        pages = mmap.mmap(-1, int(np.prod(shape)) * dtype.itemsize)
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            pages.madvise(mmap.MADV_NOHUGEPAGE)
        self._block = np.frombuffer(pages, dtype).reshape(shape)

    def pointer(self, array: int, slot: int) -> int:
        return int(self._block[array, slot].ctypes.data)

    def copy(self, source: int, target: int, length: int) -> None:
        self._block[:, target, :, :length] = self._block[:, source, :, :length]

    def swap(self, first: int, second: int, first_length: int, second_length: int) -> None:
        if not first_length:
            return self.copy(second, first, second_length)
        if second_length:
            kept = self._block[:, second, :, :second_length].copy()
        self.copy(first, second, first_length)
        if second_length:
            self._block[:, first, :, :second_length] = kept
        return None

    def close(self) -> None:
        self._block = np.zeros((0, 0, 0, 0, 0), self._block.dtype)


class CudaMemory:
    """In device memory, through the CUDA runtime's C interface. Not run so far: no GPU at hand."""

    device = "cuda"
    _DEVICE_TO_DEVICE = 3

    def __init__(self, shape: Shape, dtype: np.dtype[Any], device_id: int = 0) -> None:
        self.device_id = device_id
        self._shape = shape
        self._item = dtype.itemsize
        self._cuda = _cuda_runtime()
        self._call("cudaSetDevice", ctypes.c_int(device_id))
        # One row more than asked for: the scratch row of `swap`.
        self._base = self._malloc(int(np.prod((shape[0], shape[1] + 1, *shape[2:]))) * self._item)

    def pointer(self, array: int, slot: int) -> int:
        arrays, slots, heads, length, width = self._shape
        rows = array * slots + slot if slot < slots else arrays * slots + array
        return self._base + rows * heads * length * width * self._item

    def copy(self, source: int, target: int, length: int) -> None:
        arrays, _, heads, full, width = self._shape
        pitch = full * width * self._item
        for array in range(arrays):
            self._call(
                "cudaMemcpy2D",
                ctypes.c_void_p(self.pointer(array, target)),
                ctypes.c_size_t(pitch),
                ctypes.c_void_p(self.pointer(array, source)),
                ctypes.c_size_t(pitch),
                ctypes.c_size_t(length * width * self._item),
                ctypes.c_size_t(heads),
                ctypes.c_int(self._DEVICE_TO_DEVICE),
            )

    def swap(self, first: int, second: int, first_length: int, second_length: int) -> None:
        scratch = self._shape[1]
        self.copy(second, scratch, second_length)
        self.copy(first, second, first_length)
        self.copy(scratch, first, second_length)

    def close(self) -> None:
        if self._base:
            self._call("cudaFree", ctypes.c_void_p(self._base))
            self._base = 0

    def _malloc(self, size: int) -> int:
        pointer = ctypes.c_void_p()
        self._call("cudaMalloc", ctypes.byref(pointer), ctypes.c_size_t(size))
        return pointer.value or 0

    def _call(self, name: str, *arguments: Any) -> None:
        if status := getattr(self._cuda, name)(*arguments):
            raise BackendError(f"CUDA call {name} failed with status {status}")


def _cuda_runtime() -> ctypes.CDLL:
    name = ctypes.util.find_library("cudart") or "libcudart.so.12"
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise BackendError(f"The CUDA runtime library could not be loaded: {error}") from error
