"""One training run, step by step: schedule, evaluation, early stopping, checkpoints, exact resume.

Nothing depends on what was drawn before: the batch and the random numbers of a step follow from the seed and the
step's number, so a run that is interrupted and goes on ends in the same bits as one that is not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .checkpoint import read_checkpoint, write_checkpoint
from .progress import Said


@dataclass(frozen=True, slots=True)
class Options:
    """How to train, whatever is trained."""

    seed: int = 0
    steps: int = 500
    batch_size: int = 32
    learning_rate: float = 3e-4
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises; then it falls to nothing along a line."""
    weight_decay: float = 0.01
    clip: float = 1.0
    """Longest gradient."""
    evaluate_every: int = 100
    patience: int = 0
    """Evaluations without a better one until training stops; 0 never stops early."""
    checkpoint_every: int = 50
    frozen: tuple[str, ...] = ()
    """Beginnings of the names of parameters that stay as they are."""
    fast: tuple[str, ...] = ()
    """Parts of the names of parameters that learn fast_factor times as fast: what a pretrained model did not have."""
    fast_factor: float = 5.0
    bf16: bool = False
    """Where the processor has it."""
    checkpointing: bool = False
    """Compute the layers again in the backward pass: slower, with less memory."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1 or self.evaluate_every < 1 or self.checkpoint_every < 1:
            raise ValueError("steps, batch_size, evaluate_every and checkpoint_every must be at least 1")


class Task(Protocol):
    """What is trained. `validate` gives figures by name; `score`, which shall grow, is among them."""

    model: nn.Module

    def loss(self, step: int) -> Tensor:
        """Of the batch that belongs to this step."""

    def validate(self) -> dict[str, float]: ...


@dataclass(slots=True)
class State:
    """All that a run is besides its weights and its optimiser."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    evaluations: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)  # step and score
    seconds: float = 0.0


def fit(task: Task, options: Options, folder: Path, say: Callable[[Said], None], stop_at: int = 0) -> State:
    """Train to the end, or from the checkpoint in `folder` on; the model has the best weights afterwards.

    `stop_at` ends the run after that step as an interruption would, with a checkpoint.
    """
    optimizer = make_optimizer(task.model, options)
    state = _resume(task.model, optimizer, folder)
    began, before, first = time.monotonic(), state.seconds, state.step
    while state.step < options.steps and not _has_stalled(state, options):
        state.losses.append(_step(task, optimizer, state.step, options))
        state.step += 1
        state.seconds = before + time.monotonic() - began
        if state.step % options.evaluate_every == 0 or state.step == options.steps:
            _evaluate(task, state, folder)
        say(_said(state, options, (time.monotonic() - began) / (state.step - first)))
        if state.step % options.checkpoint_every == 0 or state.step in (stop_at, options.steps):
            write_checkpoint(folder, task.model, optimizer, state)
        if state.step == stop_at:
            return state
    task.model.load_state_dict(torch.load(folder / "best.pt", weights_only=True))
    return state


def _step(task: Task, optimizer: torch.optim.Optimizer, step: int, options: Options) -> float:
    torch.manual_seed(options.seed * 1_000_003 + step)
    task.model.train()
    for group in optimizer.param_groups:
        group["lr"] = options.learning_rate * group["factor"] * schedule(step, options)
    with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16(options)):
        loss = task.loss(step)
    if not math.isfinite(loss.item()):
        raise ArithmeticError(f"The loss is {loss.item()} in step {step}: lower the learning rate.")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(task.model.parameters(), options.clip)
    optimizer.step()
    return float(loss.item())


def is_bf16(options: Options) -> bool:
    """What is asked for, where the processor computes in it: one that only pretends to is ten times slower with it."""
    able = torch.cpu.get_capabilities()
    return options.bf16 and any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def parameters_of(model: nn.Module) -> int:
    return sum(value.numel() for value in model.parameters())


def schedule(step: int, options: Options) -> float:
    """Share of the learning rate in this step."""
    warm = max(1, round(options.warmup * options.steps))
    if step < warm:
        return (step + 1) / warm
    return max(0.0, (options.steps - step) / max(1, options.steps - warm))


def _evaluate(task: Task, state: State, folder: Path) -> None:
    """The weights that are best so far go to best.pt."""
    task.model.eval()
    with torch.inference_mode():
        found = task.validate()
    state.evaluations.append({"step": state.step, **found})
    if not state.best or found["score"] > state.best["score"]:
        state.best = {"step": state.step, "score": found["score"]}
        torch.save(task.model.state_dict(), folder / "best.pt")


def _has_stalled(state: State, options: Options) -> bool:
    since = [entry for entry in state.evaluations if entry["step"] > state.best["step"]]
    return bool(options.patience) and len(since) >= options.patience


def make_optimizer(model: nn.Module, options: Options) -> torch.optim.Optimizer:
    """AdamW; vectors, such as biases and norms, do not decay."""
    for name, value in model.named_parameters():
        value.requires_grad_(not name.startswith(options.frozen or ("\0",)))
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, value in model.named_parameters():
        factor = options.fast_factor if any(part in name for part in options.fast) else 1.0
        decay = options.weight_decay if value.ndim > 1 else 0.0
        if value.requires_grad:
            groups.setdefault((factor, decay), []).append(value)
    return torch.optim.AdamW(
        [{"params": values, "factor": factor, "weight_decay": decay} for (factor, decay), values in groups.items()],
        lr=options.learning_rate,
    )


def _resume(model: nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> State:
    found = read_checkpoint(folder)
    if found is None:
        return State()
    model.load_state_dict(found["model"])
    optimizer.load_state_dict(found["optimizer"])
    return State(**found["state"])


def _said(state: State, options: Options, seconds: float) -> Said:
    is_evaluated = bool(state.evaluations) and state.evaluations[-1]["step"] == state.step
    figures = state.evaluations[-1] if is_evaluated else {}
    return Said(
        state.step, options.steps, state.losses[-1], 1 / seconds, seconds * (options.steps - state.step), figures
    )
