"""Readings as CSV, made while they are sent: one row a moment, one column a sensor."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import numpy as np
from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from apps.anomaly import series
from apps.anomaly.models import Asset, Sensor
from apps.audit.spreadsheet import MARK, csv_text, harmless

_AT_ONCE = 50_000  # readings that are in memory
_HOUR = timedelta(hours=1)


def download(asset: Asset, sensors: list[Sensor], begin: datetime, end: datetime) -> StreamingHttpResponse:
    response = StreamingHttpResponse(lines(sensors, begin, end), content_type="text/csv; charset=utf-8")
    name = f"{asset.name}-{begin:%Y-%m-%d}-{end:%Y-%m-%d}.csv"
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["Cache-Control"] = "no-store"
    return response


async def lines(sensors: list[Sensor], begin: datetime, end: datetime) -> AsyncIterator[str]:
    """A query each, so that no cursor stays open while a client reads slowly. `end` is within."""
    heads = [f"{one.name} [{one.unit}]" if one.unit else one.name for one in sensors]
    yield MARK + csv_text([["time", *(harmless(head) for head in heads)]])
    step = _HOUR
    while begin <= end:
        until = min(begin + step, end + timedelta(microseconds=1))
        count = await sync_to_async(_count)(sensors, begin, until)
        if count > _AT_ONCE and step > timedelta(seconds=1):
            step /= 2
            continue
        if count:
            yield await sync_to_async(_rows)(sensors, begin, until - timedelta(microseconds=1))
        begin = until
        step = min(step * 2, timedelta(days=366)) if count < _AT_ONCE / 4 else step


def _count(sensors: list[Sensor], begin: datetime, until: datetime) -> int:
    """An estimate from above: whole hours; of a part of one its share."""
    counted = sum(series.counted(series.READINGS, one.pk, begin, until) for one in sensors)
    seconds = (until - begin).total_seconds()
    return counted if seconds >= 3600 else -int(-counted * seconds // 3600)


def _rows(sensors: list[Sensor], begin: datetime, end: datetime) -> str:
    columns = [series.raw(series.READINGS, one.pk, begin, end) for one in sensors]
    moments = np.unique(np.concatenate([times for times, _ in columns]))
    table = np.full((len(moments), len(columns)), np.nan)
    for place, (times, values) in enumerate(columns):
        table[np.searchsorted(moments, times), place] = values
    return csv_text(
        [datetime.fromtimestamp(at, UTC).isoformat(), *("" if value != value else repr(value) for value in row)]
        for at, row in zip(moments.tolist(), table.tolist(), strict=True)
    )
