"""What the machine of this worker has and how much of it is free. Bytes.

A container's limit counts, not the host's memory. GPUs are asked through nvidia-ml-py where that is installed
(requirements-gpu.txt); that part was written without a GPU at hand and has not been run.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Hardware:
    cpus: int
    memory_total: int
    memory_free: int
    memory_used: int  # of this process
    devices: list[dict[str, Any]] = field(default_factory=list)


def look() -> Hardware:
    memory = psutil.virtual_memory()
    limit, left = cgroup_memory()
    return Hardware(
        cpus=len(os.sched_getaffinity(0)),
        memory_total=min(memory.total, limit),
        memory_free=min(memory.available, left),
        memory_used=resident(),
        devices=_devices(),
    )


def resident() -> int:
    """Memory of this process that is in RAM."""
    return int(psutil.Process().memory_info().rss)


def cgroup_memory(root: Path = _CGROUP) -> tuple[int, int]:
    """Limit of the control group (version 2, then 1) and what is left of it; huge numbers without a limit.

    Pages of files count as used there but are given up when somebody needs them: they count as left.
    """
    names = [("memory.max", "memory.current", "memory.stat", "inactive_file")]
    names += [
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file")
    ]
    for limit_file, used_file, stat_file, cached in names:
        limit, used = _number(root / limit_file), _number(root / used_file)
        if limit is not None and used is not None:
            return limit, max(0, limit - used + _stat(root / stat_file, cached))
    return 2**62, 2**62


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" is no limit
        return None


def _stat(path: Path, name: str) -> int:
    try:
        rows = dict(line.split() for line in path.read_text().splitlines())
        return int(rows[name])
    except (OSError, ValueError, KeyError):
        return 0


def _devices() -> list[dict[str, Any]]:
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        return [_device(pynvml, place) for place in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


def _device(pynvml: Any, place: int) -> dict[str, Any]:
    handle = pynvml.nvmlDeviceGetHandleByIndex(place)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return {
        "name": pynvml.nvmlDeviceGetName(handle),
        "memory_total": int(memory.total),
        "memory_free": int(memory.free),
        "utilisation": pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
    }
