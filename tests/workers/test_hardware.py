"""What is said of a GPU, by a stand-in for NVIDIA's library: the real one has not been run here."""

import sys
from types import SimpleNamespace

import pytest

from workers import hardware


class NVMLError(Exception):
    pass


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Two devices, with the names and units of nvidia-ml-py: bytes and percent."""
    handles = ["first", "second"]
    stand_in = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: len(handles),
        nvmlDeviceGetHandleByIndex=lambda index: handles[index],
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=24 * 2**30, free=20 * 2**30, used=4 * 2**30),
        nvmlDeviceGetName=lambda handle: f"GPU {handle}",
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=37, memory=5),
    )
    monkeypatch.setitem(sys.modules, "pynvml", stand_in)
    return stand_in


def test_devices(library: SimpleNamespace) -> None:
    row = {"memory_total": 24 * 2**30, "memory_free": 20 * 2**30, "utilisation": 0.37}
    assert hardware.look().devices == [{"name": "GPU first", **row}, {"name": "GPU second", **row}]


def test_no_driver_is_no_device(library: SimpleNamespace) -> None:
    def refuse() -> None:
        raise NVMLError("Driver Not Loaded")

    library.nvmlInit = refuse
    assert hardware.look().devices == []


def test_no_library_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert hardware.look().devices == []


def test_the_machine_itself() -> None:
    seen = hardware.look()
    assert 0 < seen.memory_used < seen.memory_total
    assert 0 < seen.memory_free <= seen.memory_total
    assert seen.cpus >= 1
