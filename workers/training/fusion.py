"""When what of the bridge is trained."""

from __future__ import annotations

from workers.zoo.v2_cmab import DEPTHS


def opened(step: int, steps: int, by: float) -> float:
    """Progressive fusion: the depths are opened one after the other, each from nothing to the whole, all by that share
    of the steps; 0 is all at once."""
    return DEPTHS * min(1.0, step / (by * steps)) if by > 0 else float(DEPTHS)
