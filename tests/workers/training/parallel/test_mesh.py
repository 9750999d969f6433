"""Eight processes, or two along one axis, train as one does: loss and every gradient of five steps."""

import pytest

from benchmarks.v3_parity import CASES, measure

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def worst(rows):
    return {name: max(row[name] for row in rows) for name in ("relative_loss_error", "relative_gradient_error")}


def test_each_axis_alone_is_as_one_process():
    rows = measure(["2,1,1", "1,2,1", "1,1,2"])

    assert len(rows) == 3 * len(CASES)
    assert all(row["gradients"] for row in rows)
    assert max(worst(rows).values()) <= 1e-5, rows


def test_eight_processes_are_as_one():
    rows = measure(["2,2,2"])

    assert len(rows) == len(CASES)
    assert max(worst(rows).values()) <= 1e-5, rows
