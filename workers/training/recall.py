"""How often what belongs together is found: of all pictures the right one within the first 1, 5 or 10, and back."""

from __future__ import annotations

import torch
from torch import Tensor

DEPTHS = (1, 5, 10)


def recalls(scores: Tensor, same: Tensor) -> dict[str, float]:
    """`scores` [N asked, M answers]; `same` says which answers are right. What is as good as the best right answer and
    not right counts as before it."""
    best = scores.masked_fill(~same, -torch.inf).amax(1, keepdim=True)
    before = ((scores >= best) & ~same).sum(1)
    return {f"r{depth}": float((before < depth).float().mean()) for depth in DEPTHS}


def both_ways(scores: Tensor, same: Tensor) -> dict[str, dict[str, float]]:
    """`scores` [texts, pictures]."""
    return {"text_to_picture": recalls(scores, same), "picture_to_text": recalls(scores.T, same.T)}
