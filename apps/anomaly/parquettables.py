"""Parquet files, a slice of rows at a time. Imported where one is read: pyarrow is large."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # others reserve address space, which is limited here

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from apps.anomaly.csvtables import Unreadable, unique

pa.set_cpu_count(1)
pa.set_io_thread_count(1)


def opened(path: Path) -> pq.ParquetFile:
    """Raises Unreadable."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise Unreadable("The file is damaged: it is no Parquet file that can be read.") from error


def names(file: pq.ParquetFile) -> list[str]:
    return unique(file.schema_arrow.names)


def kinds(file: pq.ParquetFile) -> list[str]:
    return [_kind(field.type) for field in file.schema_arrow]


def slices(file: pq.ParquetFile, size: int) -> Iterator[list[list[Any]]]:
    """Columns of at most `size` rows: moments as seconds since the epoch, numbers as floats, all else as text; None
    where a cell is empty."""
    for batch in file.iter_batches(batch_size=size, use_threads=False):
        yield [_plain(column) for column in batch.columns]


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    return "text"


def _plain(column: pa.Array) -> list[Any]:
    kind = _kind(column.type)
    if kind == "time":
        micro = pc.cast(pc.cast(column, pa.timestamp("us"), safe=False), pa.int64())
        return [None if value is None else value / 1e6 for value in micro.to_pylist()]
    if kind == "number":
        return pc.cast(column, pa.float64(), safe=False).to_pylist()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return [None if value is None else str(value) for value in column.to_pylist()]
