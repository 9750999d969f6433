"""A run on the disk. Whole or not there: a file is written beside and renamed."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

NAME = "checkpoint.pt"


def write_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: Any) -> None:
    """`state` is a dataclass of plain values."""
    partial = folder / f".{NAME}.{os.getpid()}"
    content = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": asdict(state)}
    torch.save(content, partial)
    partial.replace(folder / NAME)


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """None when the run has not begun. Loads tensors and plain values, no code."""
    path = folder / NAME
    found: dict[str, Any] | None = torch.load(path, weights_only=True) if path.exists() else None
    return found
