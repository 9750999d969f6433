"""A run on the disk. Whole or not there: a file is written beside and renamed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

NAME = "checkpoint.pt"


def describe(folder: Path, written: dict[str, Any], tokenizer: Tokenizer | None = None) -> None:
    """What it takes to make the model again without the recipe. Raises ValueError when another run is here."""
    text, path = json.dumps(written, indent=1) + "\n", folder / "config.json"
    if path.exists() and path.read_text() != text:
        raise ValueError(f"{folder} has a run with another configuration: choose another folder.")
    if tokenizer is not None:
        tokenizer.save(str(folder / "tokenizer.json"))
    path.write_text(text)


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
