"""A small pump station as numbers: what its sensors say follows from the time and a seed alone, so that who writes it
twice writes the same.

Load follows the day and the shifts; flow, pressure, power, temperature and vibration follow the load, the tank fills
and empties. Faults are laid over it. T moments, S sensors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STEP = 2.0  # seconds between readings
FAULTS = ("spike", "shift", "drift", "noise", "stuck", "stop")


@dataclass(frozen=True, slots=True)
class Sensor:
    key: str
    name: str
    unit: str
    noise: float  # standard deviation; faults are measured in it


SENSORS = (
    Sensor("flow", "Flow", "m³/h", 0.5),
    Sensor("pressure", "Pressure", "bar", 0.04),
    Sensor("power", "Motor power", "kW", 0.2),
    Sensor("bearing", "Bearing temperature", "°C", 0.25),
    Sensor("vibration", "Vibration", "mm/s", 0.08),
    Sensor("tank", "Tank level", "%", 0.3),
)
_DAY, _SHIFT, _TANK = 86_400.0, 28_800.0, 2_700.0


def values(times: Floats, *, seed: int, faults: Sequence[dict[str, Any]] = ()) -> Floats:
    """[T, S] at these seconds since the epoch; NaN where a sensor says nothing."""
    load, late = _load(times), _load(times - 1500)
    phase = (times % _TANK) / _TANK
    level = np.where(phase < 0.7, phase / 0.7, (1 - phase) / 0.3)
    ambient = 3 * np.sin(2 * np.pi * (times / _DAY - 0.35))
    clean = np.stack(
        [40 * load, 3 + 2 * load**2, 4 + 14 * load**1.5, 42 + 16 * late + ambient, 1.0 + 1.6 * load, 35 + 45 * level], 1
    )
    scale = np.array([one.noise for one in SENSORS])
    found = clean + scale * _normal(times, seed, len(SENSORS))
    for fault in faults:
        _lay(found, times, fault, seed)
    return found


def _load(times: Floats) -> Floats:
    """0.3 to 1: the day, and a dip where a shift ends."""
    day = 0.68 + 0.22 * np.sin(2 * np.pi * (times / _DAY - 0.25))
    into = (times % _SHIFT) / _SHIFT
    dip = 0.12 * np.exp(-((np.minimum(into, 1 - into) / 0.02) ** 2))
    return np.clip(day - dip + 0.03 * np.sin(2 * np.pi * times / 610), 0.3, 1.0)


def _lay(found: Floats, times: Floats, fault: dict[str, Any], seed: int) -> None:
    place = next(n for n, one in enumerate(SENSORS) if one.key == fault["sensor"])
    inside = (times >= fault["begin"]) & (times < fault["end"])
    if not inside.any():
        return
    since, size = times[inside] - fault["begin"], fault["size"] * SENSORS[place].noise
    match fault["kind"]:
        case "shift":
            found[inside, place] += size
        case "spike":
            found[inside, place] += size * (since < STEP)
        case "drift":
            found[inside, place] += size * since / max(fault["end"] - fault["begin"], STEP)
        case "noise":
            found[inside, place] += size * _normal(times[inside], seed + 1, 1)[:, 0]
        case "stuck":
            found[inside, place] = values(np.array([fault["begin"]]), seed=seed)[0, place]
        case "stop":
            found[inside, place] = np.nan


def _normal(times: Floats, seed: int, columns: int) -> Floats:
    """[T, columns] that look like white noise and follow from the arguments."""
    steps = np.rint(times / STEP).astype(np.uint64)[:, None] * np.uint64(64)
    counters = steps + np.arange(2 * columns, dtype=np.uint64)[None, :]
    start = np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    uniform = (_mixed(counters + start) >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2 * np.log1p(-uniform[:, :columns]))
    return radius * np.cos(2 * np.pi * uniform[:, columns:])


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The end of splitmix64 (Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
