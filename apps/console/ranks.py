"""What the processes of a training do, and where the tokens of a mixture go, on the job's page."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

CELL = 44  # width of an expert's cell in the picture
ROW = 24
LEFT = 64
_SLOW = 2 / 3  # of the others' pace


@dataclass(frozen=True, slots=True)
class Cell:
    """Share of a layer's picks that went to one expert. `strength` is 0 at none and 1 at twice the even share."""

    x: int
    share: float
    strength: float


@dataclass(frozen=True, slots=True)
class Layer:
    name: str
    y: int
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Load:
    layers: list[Layer]
    experts: int
    heaviest: float  # of all, by the even share
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Ranks:
    rows: list[dict[str, Any]]
    tokens: float  # a second, of all together
    memory: int  # bytes of all
    load: Load | None  # None for a model without experts


def ranks(told: Sequence[dict[str, Any]]) -> Ranks | None:
    """None before a process has said something."""
    if not told:
        return None
    stages = 1 + max(row["pp"] for row in told)
    tokens = sum(row["tokens"] for row in told) / stages  # each stage sees the same tokens
    rows = [{**row, "is_slow": _is_slow(row, told)} for row in told]
    return Ranks(rows, tokens, sum(row["memory"] for row in told), _load(told))


def _is_slow(row: dict[str, Any], told: Sequence[dict[str, Any]]) -> bool:
    """Whether all others wait for it: it multiplies far more slowly than they do."""
    others = [one["pace"] for one in told if one["rank"] != row["rank"] and "pace" in one]
    return bool(others) and "pace" in row and row["pace"] < _SLOW * median(others)


def _load(told: Sequence[dict[str, Any]]) -> Load | None:
    """Copies of a layer say the same of it."""
    shares = {int(name): found for row in told for name, found in row["load"].items()}
    if not shares:
        return None
    layers = [_layer(name, at, shares[name]) for at, name in enumerate(sorted(shares))]
    experts = max(len(layer.cells) for layer in layers)
    heaviest = max(len(found) * max(found) for found in shares.values())
    return Load(layers, experts, heaviest, LEFT + CELL * experts, ROW * (len(layers) + 1))


def _layer(name: int, at: int, shares: list[float]) -> Layer:
    cells = [
        Cell(LEFT + CELL * place, share, round(min(1.0, share * len(shares) / 2), 3))
        for place, share in enumerate(shares)
    ]
    return Layer(str(name), ROW * (at + 1), cells)
