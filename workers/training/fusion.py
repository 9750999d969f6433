"""When what of the bridge is trained."""

from __future__ import annotations

from workers.zoo.v2_cmab import DEPTHS


def opened(step: int, steps: int, by: float) -> int:
    """Progressive fusion: how many depths are open in this step, one from the beginning, all by that share of the
    steps; 0 is all at once."""
    if not by:
        return DEPTHS
    return min(DEPTHS, 1 + int(step / (by * steps) * (DEPTHS - 1) + 1e-9))
