"""Which execution providers of onnxruntime a session gets. CUDA and TensorRT were written without a GPU at hand
and have not been run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort

from .base import BackendError

_CPU = "CPUExecutionProvider"
_NEEDED = {"cpu": _CPU, "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


def providers(
    device: str, *, device_id: int = 0, fp16: bool = False, engine_cache: Path | None = None
) -> list[str | tuple[str, dict[str, Any]]]:
    """In order of preference. `fp16` and `engine_cache` (a folder for the engines that TensorRT builds, which takes
    minutes) are for TensorRT.

    Raises BackendError when this onnxruntime does not have the device: it would quietly run on the CPU.
    """
    if device not in _NEEDED:
        raise BackendError(f"There is no device {device!r}; there are {', '.join(_NEEDED)}.")
    if _NEEDED[device] not in ort.get_available_providers():
        raise BackendError(f"The onnxruntime of this worker has no {_NEEDED[device]}.")
    cuda = ("CUDAExecutionProvider", {"device_id": device_id})
    if device == "cpu":
        return [_CPU]
    if device == "cuda":
        return [cuda, _CPU]
    options: dict[str, Any] = {"device_id": device_id, "trt_fp16_enable": fp16}
    if engine_cache is not None:
        engine_cache.mkdir(parents=True, exist_ok=True)
        options |= {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(engine_cache)}
    return [("TensorrtExecutionProvider", options), cuda, _CPU]
