"""What a session is told about devices, and what a worker without them says."""

import onnxruntime
import pytest

from workers.backends.base import BackendError
from workers.backends.providers import providers

EVERYTHING = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]


def test_tensorrt_gets_precision_and_cache_and_falls_back_within_the_gpu_first(monkeypatch, tmp_path):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: EVERYTHING)
    cache = tmp_path / "engines"
    options = {
        "device_id": 1,
        "trt_fp16_enable": True,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(cache),
    }
    assert providers("tensorrt", device_id=1, fp16=True, engine_cache=cache) == [
        ("TensorrtExecutionProvider", options),
        ("CUDAExecutionProvider", {"device_id": 1}),
        "CPUExecutionProvider",
    ]
    assert cache.is_dir()


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_device_that_is_not_there_is_refused(monkeypatch, device):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(BackendError, match="onnxruntime of this worker has no"):
        providers(device)


def test_cpu_is_the_cpu():
    assert providers("cpu") == ["CPUExecutionProvider"]
