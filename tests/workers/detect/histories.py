"""A small plant: three sensors that move together, with a daily period, noise and holes."""

import numpy as np

PERIOD = 24


def plant(steps=1200, sensors=3, seed=0, holes=True):
    source = np.random.default_rng(seed)
    time = np.arange(steps)
    load = np.sin(2 * np.pi * time / PERIOD) + 0.3 * np.sin(4 * np.pi * time / PERIOD)
    gains = np.array([10.0, -3.0, 0.5, 4.0, 1.0])[:sensors]
    values = 50 + load[:, None] * gains + 0.1 * np.abs(gains) * source.normal(size=(steps, sensors))
    if holes:
        values[source.random(values.shape) < 0.03] = np.nan
    return values


def broken(values, begin, length=12, sensor=0, by=25.0):
    """A copy in which one sensor is off for a while."""
    changed = values.copy()
    changed[begin : begin + length, sensor] += by
    return changed
