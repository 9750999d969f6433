"""The charts of the usage page."""

from functools import partial

from django.utils.translation import gettext as _

from apps.quotas.bars import MOST_SERIES, BarChart, Series, stacked
from apps.quotas.reports import STORED, Bucket, Usage
from apps.quotas.units import SHOWN, Number, amount, day, short


def over_time(usage: Usage, metric: str, *, currency: str, limit: float | None = None) -> BarChart:
    """One bar a day or hour, stacked by model."""
    span, title = usage.span, _title(usage, metric)
    told = {"title": title, "total": amount(metric, usage.total[metric], currency), "n": span.length}
    summary = _("%(title)s, %(total)s in %(n)d hours") if span.is_hours else _("%(title)s, %(total)s in %(n)d days")
    return stacked(
        title,
        summary % told,
        [_label(usage, bucket) for bucket in span.buckets],
        _series(usage.series(metric)),
        short=partial(short, metric),
        limit=limit,
        limit_text="" if limit is None else _limit_text(usage, metric) % {"amount": short(metric, limit)},
    )


def _title(usage: Usage, metric: str) -> str:
    if metric == STORED:
        return _("Stored at the end of each hour") if usage.span.is_hours else _("Stored at the end of each day")
    return (_("%(metric)s an hour") if usage.span.is_hours else _("%(metric)s a day")) % {"metric": SHOWN[metric]}


def _limit_text(usage: Usage, metric: str) -> str:
    if metric == STORED:
        return _("limit, %(amount)s")
    return _("limit an hour, %(amount)s") if usage.span.is_hours else _("limit a day, %(amount)s")


def over_the_day(usage: Usage) -> BarChart:
    """Requests in each hour of the day."""
    hours = usage.by_hour()
    busiest = max(range(24), key=hours.__getitem__)
    title = _("Requests by hour of day")
    return stacked(
        title,
        _("%(title)s; most between %(from)d:00 and %(to)d:00") % {"title": title, "from": busiest, "to": busiest + 1},
        [str(hour) for hour in range(24)],
        [Series(title, hours)],
        short=partial(short, "requests"),
        width=300,
        height=152,
    )


def model_name(deployment: str) -> str:
    """Use of no model is that of jobs and files."""
    return deployment or _("no model")


def _series(found: dict[str, list[Number]]) -> list[Series]:
    """The first five by name, the rest together; six keep their names."""
    named = list(found.items())
    kept = MOST_SERIES if len(named) <= MOST_SERIES else MOST_SERIES - 1
    series = [
        Series(model_name(name), [float(value) for value in values], place)
        for place, (name, values) in enumerate(named[:kept], 1)
    ]
    if named[kept:]:
        rest = [float(sum(each)) for each in zip(*(values for _name, values in named[kept:]), strict=True)]
        series.append(Series(_("other"), rest, MOST_SERIES))
    return series


def _label(usage: Usage, bucket: Bucket) -> str:
    if usage.span.is_hours:
        return bucket.astimezone(usage.span.zone).strftime("%H:%M")  # type: ignore[union-attr]
    return day(bucket)
