"""A small base of texts and tasks for it, in place of MiniLM and the news."""

from dataclasses import replace

import pytest
import torch

from benchmarks import v5_tasks
from workers.recipes import v5
from workers.training import meta
from workers.training.lessons import Topics
from workers.training.loop import Options


def groups(seed: int) -> list[list[torch.Tensor]]:
    """Ids of two labels: each has words of its own, and some that both have."""
    torch.manual_seed(seed)
    both = torch.randint(9, 20, (2, 12, 8))
    both[:, :, :3] = torch.randint(1, 4, (2, 12, 3)) + 4 * torch.arange(2)[:, None, None]
    return [[both[0], both[1]]]


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> meta.MetaConfig:
    parts = [Topics(groups(seed), 2, 3, 2) for seed in range(4)]
    about = {"name": "toy", "source": "made up", "licence": "MIT"}
    tests = {"news": parts[2], "reviews": parts[3]}
    monkeypatch.setattr(meta, "load", lambda config: meta.Parts(parts[0], parts[1], tests, 2, about))
    made = replace(
        v5.topics(), pretrained=False, shots=3, queries=2, rank=2, embedding=8, validation_tasks=10, test_tasks=25,
        model={"vocab_size": 20, "width": 16, "layers": 1, "heads": 2, "hidden": 32, "positions": 8},
        options=Options(steps=2, batch_size=2, evaluate_every=2, checkpoint_every=2),
    )  # fmt: skip

    def recipe() -> meta.MetaConfig:
        torch.manual_seed(0)  # the base that follows is always the same
        return made

    monkeypatch.setitem(v5_tasks.RECIPES, "topics", recipe)
    monkeypatch.setitem(v5_tasks.RATES, "topics", (1e-4, 1e-2))
    return made
