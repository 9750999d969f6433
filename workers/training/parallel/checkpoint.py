"""Checkpoints of a mesh: written while training goes on, whole or not there, and read by a mesh of any other size.

Each process copies what it has and writes its part in the background (torch.distributed.checkpoint) over a group of its
own, so that no transfer of training and none of a checkpoint meet. A folder is called `.incomplete` until all have
written; then it is renamed. Only one is on its way at a time.
"""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Future
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.tensor import DTensor, Shard

from workers.training.loop import State
from workers.zoo.v3_moe import V3

from .mesh import Mesh
from .stage import is_divided
from .trainer import Trainer

_INCOMPLETE = ".incomplete"


class Checkpoints:
    """Of one run, in `folder`; the newest `kept` of them stay. The same calls in every process."""

    def __init__(self, folder: Path, timeout: timedelta, kept: int = 2) -> None:
        self._folder, self._kept = folder, kept
        self._group = dist.new_group(backend="gloo", timeout=timeout)
        self._writing: tuple[Path, Future[Any]] | None = None
        if dist.get_rank() == 0:
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(f"*{_INCOMPLETE}"):
                shutil.rmtree(left)
        dist.barrier(self._group)

    def save(self, trainer: Trainer, state: State) -> None:
        """Begins to write; waits only for the one before."""
        self.finish()
        partial = self._folder / f"step-{state.step:08}{_INCOMPLETE}"
        content = {name: _copied(value) for name, value in _tensors(trainer).items()}
        written = dcp.async_save(
            content | {"state": json.dumps(asdict(state))}, checkpoint_id=partial, process_group=self._group
        )
        assert isinstance(written, Future)
        self._writing = partial, written

    def poll(self) -> None:
        """Publishes what has been written since; raises what writing raised."""
        if self._writing and self._writing[1].done():
            self.finish()

    def finish(self) -> None:
        """Waits until nothing is on its way."""
        if self._writing is None:
            return
        partial, written = self._writing
        written.result()  # the first process hears of it when all have written
        self._writing = None
        if dist.get_rank() == 0:
            partial.rename(partial.with_suffix(""))
            for old in published(self._folder)[: -self._kept]:
                shutil.rmtree(old)

    def load(self, trainer: Trainer) -> State:
        """From the newest, whatever mesh has written it; a new State when there is none."""
        newest: list[Any] = [published(self._folder)[-1:]]
        dist.broadcast_object_list(newest, group=self._group, group_src=0)
        if not newest[0]:
            return State()
        content: dict[str, Any] = {**_tensors(trainer), "state": ""}
        dcp.load(content, checkpoint_id=newest[0][0], process_group=self._group)
        return State(**json.loads(content["state"]))


def published(folder: Path) -> list[Path]:
    """Complete checkpoints, the newest last."""
    return sorted(path for path in folder.glob("step-*") if not path.name.endswith(_INCOMPLETE))


def read_whole(checkpoint: Path, model: V3) -> None:
    """All weights into a model of one process."""
    dcp.load({f"model.{name}": value for name, value in model.state_dict().items()}, checkpoint_id=checkpoint,
             no_dist=True)  # fmt: skip


def _tensors(trainer: Trainer) -> dict[str, Tensor]:
    """Weights, biases of routers and both moments under the names of the whole model, sharing memory with them."""
    found = {f"model.{name}": value for name, value in trainer.stage.state_dict().items()}
    for name, value in trainer.stage.named_parameters():
        state = trainer.optimizer.state[value]
        if not state:  # as AdamW begins
            state |= {"step": torch.zeros(()), "exp_avg": torch.zeros_like(value),
                      "exp_avg_sq": torch.zeros_like(value)}  # fmt: skip
        found |= {f"optimizer.{name}.{key}": part for key, part in state.items()}
    return {name: _placed(name, value, trainer.mesh) for name, value in found.items()}


def _placed(name: str, value: Tensor, mesh: Mesh) -> Tensor:
    """Experts' tensors know which part of the whole they are."""
    if not is_divided(name) or value.ndim == 0:
        return value
    return DTensor.from_local(value.detach(), mesh.devices["ep"], [Shard(0)], run_check=False)


def _copied(value: Tensor) -> Tensor:
    return value.detach().clone()
