"""Who of the processes has what: copies of the data (dp), stages of layers (pp), experts (ep).

Every process of one stage has texts of its own, those that share experts too: only experts are divided by ep, all other
parameters of a stage are the same on its dp x ep processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from contracts.mixture import Layout as Layout


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    layout: Layout
    device: torch.device
    devices: DeviceMesh
    data: dist.ProcessGroup
    """Those with the same stage: over them everything but experts is summed."""

    def group(self, axis: str) -> dist.ProcessGroup:
        return self.devices.get_group(axis)

    def place(self, axis: str) -> int:
        return self.devices.get_local_rank(axis)

    @property
    def share(self) -> int:
        """Which part of the batch is this process's."""
        return self.place("dp") * self.layout.ep + self.place("ep")


def join(backend: str, timeout: timedelta) -> torch.device:
    """Into the processes that torchrun has started; the device of this one. `backend` is gloo (processor) or nccl. A
    collective that waits longer than `timeout` fails, so nothing hangs for ever."""
    device = torch.device("cpu")
    if backend == "nccl":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    store, rank, size = next(dist.rendezvous("env://", timeout=timeout))
    # torchrun keeps its store over restarts: without a name of its own an attempt would find the addresses of the dead.
    store = dist.PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    # Checkpoints travel over gloo whatever the model does.
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if backend == "nccl" else "gloo", store=store, rank=rank, world_size=size, timeout=timeout
    )
    return device


def make_mesh(layout: Layout, device: torch.device) -> Mesh:
    """The same call in every process. Raises ValueError."""
    if layout.processes != dist.get_world_size():
        raise ValueError(f"{layout} needs {layout.processes} processes, not {dist.get_world_size()}")
    devices = init_device_mesh(device.type, (layout.dp, layout.pp, layout.ep), mesh_dim_names=("dp", "pp", "ep"))
    stages = [devices.mesh[:, stage].flatten().tolist() for stage in range(layout.pp)]
    data, _ = dist.new_subgroups_by_enumeration(stages)
    return Mesh(layout, device, devices, data)
