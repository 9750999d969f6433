"""What a process says of itself."""

import os

import psutil
import pytest
import torch

from workers.training import watch
from workers.training.watch import Watch


def test_a_row_tells_the_steps_since_the_row_before(monkeypatch):
    clock = iter([10.0, 10.5, 12.0, 12.5])
    monkeypatch.setattr(watch.time, "monotonic", lambda: next(clock))
    watched = Watch(3, {"dp": 1, "pp": 0, "ep": 1}, tokens=100)
    loads = {"2": torch.tensor([3.0, 1.0])}
    rows = [watched.look(step, 1 / step, loads) for step in (1, 2, 4, 5)]

    assert [row is None for row in rows] == [True, True, False, True]
    row = rows[2]
    assert row["busy"] >= 0
    assert row["pace"] > 0
    assert row["memory"] == pytest.approx(psutil.Process(os.getpid()).memory_info().rss, rel=0.2)
    assert {name: row[name] for name in ("rank", "dp", "pp", "ep", "step", "loss", "tokens", "load")} == {
        "rank": 3, "dp": 1, "pp": 0, "ep": 1, "step": 4, "loss": 0.25, "tokens": 150.0, "load": {"2": [0.75, 0.25]},
    }  # fmt: skip


def test_a_layer_that_nobody_has_picked_from_has_no_shares(monkeypatch):
    clock = iter([0.0, 2.0])
    monkeypatch.setattr(watch.time, "monotonic", lambda: next(clock))
    watched = Watch(0, {}, 1)
    watched.look(1, 1.0, {})

    assert watched.look(2, 1.0, {"0": torch.zeros(2)})["load"] == {"0": [0.0, 0.0]}


def test_the_pace_is_the_middle_of_the_last_looks(monkeypatch):
    clock = iter([0.0, 1.0, 0.0, 4.0, 0.0, 1.0])
    monkeypatch.setattr(watch.time, "perf_counter", lambda: next(clock))
    watched = Watch(0, {}, 1)
    paces = [watched._pace() for _ in range(3)]

    assert paces == pytest.approx([paces[0], paces[0] * 0.625, paces[0]])
