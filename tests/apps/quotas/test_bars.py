"""Bars stand on each other, and a limit is drawn where they come near it."""

from apps.quotas.bars import Series, stacked


def draw(*series: Series, limit: float | None = None):
    labels = [str(n) for n in range(len(series[0].values))]
    return stacked("T", "", labels, series, short=str, limit=limit)


def test_parts_of_a_bar_stand_on_each_other() -> None:
    low, high = draw(Series("a", [30], 1), Series("b", [10], 2)).bars
    assert (low.place, high.place) == (1, 2)
    assert low.x == high.x
    assert high.y + high.height < low.y
    assert low.height > 2 * high.height


def test_nothing_is_not_drawn() -> None:
    assert [bar.place for bar in draw(Series("a", [0, 5], 1), Series("b", [0, 0], 2)).bars] == [1]
    assert draw(Series("a", [0, 0])).bars == []


def test_a_limit_near_the_bars_is_in_the_picture() -> None:
    chart = draw(Series("a", [80]), limit=100)
    assert chart.limit_y is not None
    assert chart.limit_y < chart.bars[0].y


def test_a_limit_far_above_does_not_press_the_bars_flat() -> None:
    chart = draw(Series("a", [1]), limit=1000)
    assert chart.limit_y is None
    assert chart.bars[0].height > 100


def test_labels_are_few_and_the_last_is_there() -> None:
    chart = draw(Series("a", [1] * 30))
    assert [tick.label for tick in chart.labels] == ["0", "7", "14", "21", "29"]
    assert chart.labels[-1].at <= chart.width
