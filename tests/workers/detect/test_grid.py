"""Readings become steps, whatever their order and their gaps."""

import numpy as np
import pytest

from workers.detect.grid import MOST_GAP, Grid, interval_of, steps_of

NAN = np.nan


def put(grid, rows, until=0.0):
    steps, values = grid.put(
        np.array([time for time, *_ in rows], float),
        np.array([row for _, *row in rows], float).reshape(len(rows), grid.sensors), until,
    )  # fmt: skip
    return [(int(step), *row) for step, row in zip(steps, values.tolist(), strict=True)]


def test_one_sensor_is_complete_at_once():
    grid = Grid(10.0, 1)

    assert put(grid, [(100, 1.0), (111, 2.0), (119, 3.0)]) == [(10, 1.0), (11, 2.0), (12, 3.0)]


def test_several_sensors_are_waited_for():
    grid = Grid(10.0, 2)

    assert put(grid, [(100, 1.0, NAN)]) == []
    assert put(grid, [(102, NAN, 2.0)]) == [(10, 1.0, 2.0)]
    assert put(grid, [(110, 5.0, NAN)]) == []
    found = put(grid, [(121, 6.0, NAN)])
    assert found[0][:2] == (11, 5.0) and np.isnan(found[0][2])


def test_a_step_ends_when_somebody_says_so():
    grid = Grid(10.0, 2)
    put(grid, [(100, 1.0, NAN)])

    assert put(grid, [], until=104.9) == []
    assert [row[0] for row in put(grid, [], until=125.0)] == [10, 11, 12]


def test_order_within_a_batch_does_not_matter():
    assert put(Grid(10.0, 1), [(120, 3.0), (100, 1.0), (110, 2.0)]) == [(10, 1.0), (11, 2.0), (12, 3.0)]


def test_what_is_late_is_counted_and_changes_nothing():
    grid = Grid(10.0, 1)
    put(grid, [(100, 1.0), (120, 3.0)])

    assert put(grid, [(101, 9.0), (110, 2.0)]) == []
    assert grid.late == 2


def test_missing_steps_are_told_and_of_a_long_gap_the_end():
    grid = Grid(1.0, 1)

    assert [row[0] for row in put(grid, [(5, 1.0), (8, 2.0)])] == [5, 6, 7, 8]
    far = [row[0] for row in put(grid, [(10_000, 1.0)])]
    assert far == [9, *range(10_000 - MOST_GAP, 10_001)]


@pytest.mark.parametrize(("gaps", "interval"), [
    ([300] * 9 + [3000], 300.0), ([0.98, 1.01, 1.0, 1.02, 0.99], 1.0), ([0.1] * 5, 0.1), ([3600] * 3, 3600.0),
    ([7.3] * 4, 7.3), ([1, 20, 3, 9, 40, 2, 5, 31, 8, 12, 4], 31.0),
])  # fmt: skip
def test_the_interval_is_what_a_clock_would_say(gaps, interval):
    assert interval_of(np.cumsum([0, *gaps]).astype(float)) == pytest.approx(interval)


def test_one_moment_has_no_interval():
    with pytest.raises(ValueError, match="one moment"):
        interval_of(np.array([5.0, 5.0]))


def test_a_history_is_steps_from_first_to_last():
    numbers, values = steps_of(np.array([100.0, 104.0, 131.0]), np.array([[1.0, NAN], [NAN, 2.0], [3.0, 4.0]]), 10.0)

    assert numbers.tolist() == [10, 11, 12, 13]
    assert np.array_equal(values, [[1, 2], [NAN, NAN], [NAN, NAN], [3, 4]], equal_nan=True)


def test_steps_that_are_far_too_short_are_refused():
    with pytest.raises(ValueError, match="far too short"):
        steps_of(np.array([0.0, 1e9]), np.zeros((2, 1)), 0.001)


def test_history_and_stream_make_the_same_steps():
    source = np.random.default_rng(0)
    times = np.sort(source.uniform(0, 500, 300))
    values = np.where(source.random((300, 2)) < 0.3, NAN, source.normal(size=(300, 2)))
    _, whole = steps_of(times, values, 5.0)
    grid = Grid(5.0, 2)
    parts = [grid.put(times[at : at + 7], values[at : at + 7]) for at in range(0, 300, 7)]
    parts.append(grid.put(times[:0], values[:0], until=600.0))
    streamed = np.concatenate([rows for _, rows in parts])

    # In the stream a step with all sensors is complete at once; where it was not, both are the same.
    same = (np.isclose(streamed[: len(whole)], whole, equal_nan=True)).all(1)
    assert same.mean() > 0.3
    assert np.array_equal(np.isfinite(streamed[: len(whole)]), np.isfinite(whole)) or grid.late > 0
