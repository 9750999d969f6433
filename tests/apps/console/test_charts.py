"""Geometry of the charts: what is drawn where."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from apps.console.charts import Named, chart, spark

pytestmark = pytest.mark.unit

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_spark_puts_the_highest_value_at_the_top_and_zero_at_the_bottom():
    assert spark([0, 2, 1]) == "M0.0 26.0L50.0 2.0L100.0 14.0"


def test_spark_moves_over_gaps_and_dots_what_stands_alone():
    assert spark([1, None, 1, 1, None]) == "M0.0 2.0h.01M50.0 2.0L75.0 2.0"


def test_spark_of_nothing_is_empty():
    assert spark([None, None]) == ""


def test_chart_has_round_steps_that_hold_values_and_limit():
    drawn = chart("p95", "s", [Named("r1", [0.3, 0.41])], seconds=3600, limit=0.8, limit_text="guard", now=NOON)
    assert [tick.label for tick in drawn.values] == ["0", "0.2", "0.4", "0.6", "0.8"]
    assert drawn.limit_y == drawn.values[-1].at == 14
    assert drawn.lines[0].last == 0.41
    assert drawn.lines[0].path == "M40.0 99.0L506.0 80.3"


def test_chart_says_times_of_both_ends_and_the_middle(settings):
    settings.TIME_ZONE = "UTC"
    drawn = chart("p95", "s", [Named("r1", [1.0])], seconds=3600, now=NOON)
    assert [tick.label for tick in drawn.times] == ["11:00", "11:30", "12:00"]


def test_labels_of_equal_lines_do_not_lie_on_each_other():
    lines = chart("p95", "s", [Named(f"r{n}", [1.0, 1.0], n) for n in (1, 2, 3)], seconds=60, now=NOON).lines
    heights = sorted(line.label_y for line in lines)
    assert [second - first for first, second in pairwise(heights)] == [14, 14]


def test_chart_without_values_is_empty():
    assert chart("p95", "s", [Named("r1", [None, None])], seconds=60, now=NOON).is_empty
