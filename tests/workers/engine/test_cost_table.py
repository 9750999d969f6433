"""Prices: interpolated, never falling with the length, refused when they are another machine's."""

import dataclasses
import math
from pathlib import Path

import pytest

from workers.engine.cost_table import CostTable, Identity, Layout, lengths_up_to, load, measure, store

pytestmark = pytest.mark.unit
IDENTITY = Identity(model="m", machine="x", max_length=64, max_batch_size=4)
LAYOUT = Layout(2, 1)


class Model:
    """A model whose runs take as long as told, on a clock of its own."""

    def __init__(self, price) -> None:
        self.price = price
        self.now = 0.0
        self.runs: list[tuple[int, int]] = []

    def clock(self) -> float:
        return self.now

    def run(self, size: int, length: int) -> None:
        self.runs.append((size, length))
        self.now += self.price(size, length)


def test_price_between_two_points_lies_on_the_line() -> None:
    table = CostTable({1: {8: 1.0, 16: 2.0}, 2: {8: 1.5}}, 32)
    assert [table.alone(length) for length in (1, 8, 12, 16)] == [1.0, 1.0, 1.5, 2.0]
    assert table.alone(32) == 4.0  # extrapolated by the token
    assert table.alone(1000) == 4.0  # nothing is longer than max_length
    assert table.cost(2, 8) == 1.5
    assert table.cost(2, 9) == math.inf  # not measured, never chosen


def test_price_never_falls_with_the_length() -> None:
    table = CostTable({1: {8: 2.0, 16: 1.0, 24: 3.0}}, 24)
    assert [table.alone(length) for length in (8, 16, 20, 24)] == [2.0, 2.0, 2.5, 3.0]


def test_measured_table_is_the_model_s_price() -> None:
    model = Model(lambda size, length: size * length / 1000)
    table = measure(model.run, max_length=64, max_batch_size=4, budget=100, clock=model.clock)
    assert table.batch_sizes == (1, 2, 4)
    expected = {length: length / 1000 for length in lengths_up_to(64)}
    assert table.seconds[1] == pytest.approx(expected)
    assert table.cost(4, 48) == pytest.approx(0.192)


def test_measuring_keeps_to_its_budget_and_prices_every_length() -> None:
    model = Model(lambda size, length: length / 100)
    table = measure(model.run, max_length=512, max_batch_size=64, budget=5, clock=model.clock)
    assert model.now < 12  # the point under way is finished
    assert all(table.alone(length) < math.inf for length in range(513))


def test_larger_batches_are_not_tried_where_the_smaller_already_loses() -> None:
    model = Model(lambda size, length: length / 1000 * size**1.5)
    measure(model.run, max_length=8, max_batch_size=32, clock=model.clock)
    assert {size for size, _ in model.runs} == {1, 2}


def test_stored_table_is_found_again(tmp_path: Path) -> None:
    table = CostTable({1: {8: 1.0}, 2: {8: 1.5}}, 64)
    store(tmp_path / "t.json", IDENTITY, LAYOUT, table, now=1000)
    found = load(tmp_path / "t.json", IDENTITY, now=2000)
    assert found is not None
    assert (found[0], found[1].seconds) == (LAYOUT, table.seconds)
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


@pytest.mark.parametrize("change", [{"model": "n"}, {"machine": "y"}, {"max_length": 65}, {"max_batch_size": 8}])
def test_table_of_something_else_is_refused(tmp_path: Path, change: dict) -> None:
    store(tmp_path / "t.json", IDENTITY, LAYOUT, CostTable({1: {8: 1.0}}, 64), now=1000)
    assert load(tmp_path / "t.json", dataclasses.replace(IDENTITY, **change), now=1000) is None


@pytest.mark.parametrize("now", [999, 1000 + 31 * 86400])
def test_old_table_and_one_from_the_future_are_refused(tmp_path: Path, now: float) -> None:
    store(tmp_path / "t.json", IDENTITY, LAYOUT, CostTable({1: {8: 1.0}}, 64), now=1000)
    assert load(tmp_path / "t.json", IDENTITY, now=now) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1}', "\x00"])
def test_broken_table_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.json").write_text(content)
    assert load(tmp_path / "t.json", IDENTITY) is None
