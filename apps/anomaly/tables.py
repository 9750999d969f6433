"""A process that reads files of readings for worker-app (tablereading.py): what people send is parsed here and nowhere
else.

It has a limit on memory and a clock for each question, knows neither database nor network, and is replaced when it
dies. A line of JSON in, a line out: {"look": path} is answered with what the file holds and how it would be read,
{"read": path, "mapping", "position", "rows", "to"} with the next rows, whose readings are in the file `to`.
"""

import contextlib
import json
import re
import resource
import signal
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from apps.anomaly import csvtables, timeforms
from apps.anomaly.csvtables import Unreadable

PARQUET = b"PAR1"
SHOWN = 20  # rows of the preview
MOST_COLUMNS = 2000
_PROBLEMS = 100
_LOOKED_AT = 400  # rows
_UNIT = re.compile(r"^(.*?)\s*[\[(]\s*([^\])]{1,20}?)\s*[\])]\s*$")


def look(path: Path) -> dict[str, Any]:
    """Columns, the first rows, and a guess of what is what. Raises Unreadable."""
    table = _Table(path)
    sample = list(islice(table.rows(), _LOOKED_AT))
    if not sample:
        raise Unreadable("The file has columns and no rows.")
    columns = [_column(table, sample, place) for place in range(len(table.names))]
    shown = [[_shown(table, cell, place) for place, cell in enumerate(row)] for row in sample[:SHOWN]]
    found = {"columns": columns, "rows": shown, "delimiter": table.delimiter, "decimal": table.decimal,
             "count": table.count, "problems": []}  # fmt: skip
    if not any(one["kind"] == "time" for one in columns):
        found["problems"].append("No column could be read as times. Choose one, and how it is written.")
    return {"look": found, "mapping": guess(columns)}


def guess(columns: list[dict[str, Any]]) -> dict[str, Any]:
    """The first column of times and every column of numbers; or, where each row is one reading and a text says whose,
    the long form."""
    times = [one for one in columns if one["kind"] == "time"]
    numbers = [one for one in columns if one["kind"] == "number"]
    texts = [one for one in columns if one["kind"] == "text"]
    first = times[0] if times else {}
    found: dict[str, Any] = {"time": first.get("name", ""), "time_zone": "UTC",
                             "time_format": first.get("form", timeforms.AUTO)}  # fmt: skip
    if len(numbers) == 1 and len(texts) == 1 and len(columns) == 3:
        return found | {"sensor_column": texts[0]["name"], "value_column": numbers[0]["name"]}
    taken: set[str] = set()
    return found | {"columns": [_sensor(one["name"], taken) for one in numbers]}


def slug(name: str) -> str:
    """A key that a sensor may have: letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:70]


def _sensor(column: str, taken: set[str]) -> dict[str, str]:
    found = _UNIT.match(column)
    name, unit = (found[1], found[2]) if found and found[1] else (column, "")
    key = base = slug(name) or "sensor"
    number = 1
    while key in taken:
        number += 1
        key = f"{base}-{number}"
    taken.add(key)
    return {"column": column, "sensor": key, "name": name[:80], "unit": unit[:20]}


class _Table:
    """A file of either form; rows are lists of cells, texts where it is CSV."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self.is_parquet = file.read(4) == PARQUET
        self.delimiter = self.decimal = ""
        self.count: int | None = None
        self.kinds: list[str] = []
        if self.is_parquet:
            from apps.anomaly import parquettables

            self._tables = parquettables
            self._file = parquettables.opened(path)
            self.names, self.kinds = parquettables.names(self._file), parquettables.kinds(self._file)
            self.count = self._file.metadata.num_rows
        else:
            self._form = csvtables.form_of(path)
            self.names, self.delimiter, self.decimal = self._form.names, self._form.delimiter, self._form.decimal
        if len(self.names) > MOST_COLUMNS:
            raise Unreadable(f"The file has {len(self.names)} columns; at most {MOST_COLUMNS} are read.")

    def rows(self) -> Iterator[list[Any]]:
        if not self.is_parquet:
            yield from self._form.rows(self._path)
            return
        for columns in self._tables.slices(self._file, 8192):
            yield from (list(row) for row in zip(*columns, strict=True))

    def number(self, cell: Any) -> float | None:
        return cell if isinstance(cell, float) else csvtables.number(cell, self.decimal)


def _column(table: _Table, sample: list[list[Any]], place: int) -> dict[str, Any]:
    cells = [row[place] for row in sample if place < len(row) and not _is_empty(row[place])]
    name = table.names[place]
    found: dict[str, Any] = {"name": name, "examples": [_shown(table, cell, place) for cell in cells[:3]]}
    if not cells:
        return found | {"kind": "empty"}
    if table.is_parquet and table.kinds[place] != "text":
        kind = table.kinds[place]
        if kind == "number" and timeforms.is_likely(name, [f"{cell:.0f}" for cell in cells]):
            kind = "time"
        return found | {"kind": kind}
    texts = [str(cell).strip() for cell in cells]
    form = timeforms.form_of(texts)
    if form and timeforms.is_likely(name, texts):
        return found | {"kind": "time", "form": form}
    numbers = sum(table.number(text) is not None for text in texts)
    return found | {"kind": "number" if numbers >= 0.8 * len(texts) else "text"}


# -- reading ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Slice:
    """Readings of some rows: indexes into `sensors`, seconds, values."""

    rows: int = 0
    series: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    failed: int = 0
    problems: list[list[Any]] = field(default_factory=list)

    def fail(self, row: int, column: str, reason: str) -> None:
        self.failed += 1
        if len(self.problems) < _PROBLEMS:
            self.problems.append([row, column, reason])


class Reading:
    """A file that is read to its end, some rows at a time. Raises Unreadable for a mapping that does not fit it."""

    def __init__(self, path: Path, mapping: dict[str, Any], position: int) -> None:
        self._table, self.position = _Table(path), position
        self.sensors: list[str] = []
        self._time = self._place(mapping.get("time"), "time")
        self._zone = timeforms.zone_named(mapping.get("time_zone") or "UTC")
        self._moment = timeforms.reader(mapping.get("time_format") or timeforms.AUTO, self._zone)
        self._by_sensor: dict[str, int] = {}
        self._value = self._sensor = -1
        self._columns: list[tuple[int, int]] = []
        if mapping.get("sensor_column"):
            self._sensor = self._place(mapping["sensor_column"], "sensor_column")
            self._value = self._place(mapping.get("value_column"), "value_column")
        for one in mapping.get("columns") or []:
            self._columns.append((self._place(one["column"], "columns"), self._index(one["sensor"])))
        self._rows = islice(self._table.rows(), position, None)

    def next(self, rows: int) -> _Slice:
        found = _Slice()
        for row in islice(self._rows, rows):
            found.rows += 1
            self._take(found, self.position + found.rows, row)
        self.position += found.rows
        return found

    def _take(self, found: _Slice, number: int, row: list[Any]) -> None:
        cell = row[self._time] if self._time < len(row) else None
        at = self._seconds(cell)
        if at is None:
            found.fail(number, self._table.names[self._time], f"{_text(cell)!r} is no time")
            return
        if self._sensor >= 0:
            whose = row[self._sensor] if self._sensor < len(row) else None
            key = slug(_text(whose))
            if not key:
                found.fail(number, self._table.names[self._sensor], "names no sensor")
            else:
                self._add(found, number, row, self._value, self._index(key), at)
        for place, index in self._columns:
            self._add(found, number, row, place, index, at)

    def _add(self, found: _Slice, number: int, row: list[Any], place: int, index: int, at: float) -> None:
        cell = row[place] if place < len(row) else None
        if _is_empty(cell):
            return
        value = self._table.number(cell)
        if value is None or not np.isfinite(value):
            found.fail(number, self._table.names[place], f"{_text(cell)!r} is no number")
            return
        found.series.append(index)
        found.times.append(at)
        found.values.append(value)

    def _seconds(self, cell: Any) -> float | None:
        if isinstance(cell, float):
            if self._table.kinds[self._time] == "time":
                return cell
            return timeforms.scaled(cell) if np.isfinite(cell) else None
        return None if _is_empty(cell) else self._moment(str(cell).strip())

    def _place(self, name: Any, field: str) -> int:
        if name not in self._table.names:
            raise Unreadable(f"The file has no column {str(name)[:80]!r} for {field}.")
        return self._table.names.index(name)

    def _index(self, key: str) -> int:
        if key not in self._by_sensor:
            self._by_sensor[key] = len(self.sensors)
            self.sensors.append(key)
        return self._by_sensor[key]


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and csvtables.is_missing(cell)) or cell != cell


def _shown(table: _Table, cell: Any, place: int) -> str:
    """Moments of Parquet files are texts to people."""
    if isinstance(cell, float) and table.kinds[place] == "time":
        return datetime.fromtimestamp(cell, UTC).isoformat()[:26]
    return _text(cell)


def _text(cell: Any) -> str:
    return "" if cell is None else (f"{cell:g}" if isinstance(cell, float) else str(cell))[:100]


class _Answers:
    """To one question after the other; a file that is read on is not opened again."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] = ()
        self._reading: Reading | None = None

    def to(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "look" in asked:
            return look(Path(asked["look"]))
        reading = self._going_on(asked)
        found = reading.next(asked["rows"])
        self._key = (asked["read"], json.dumps(asked["mapping"]), reading.position)
        np.savez(asked["to"], series=np.array(found.series, np.int64), times=np.array(found.times, np.float64),
                 values=np.array(found.values, np.float64))  # fmt: skip
        return {"rows": found.rows, "sensors": reading.sensors, "failed": found.failed, "problems": found.problems}

    def _going_on(self, asked: dict[str, Any]) -> Reading:
        key = (asked["read"], json.dumps(asked["mapping"]), asked["position"])
        if self._reading is None or key != self._key:
            self._reading = Reading(Path(asked["read"]), asked["mapping"], asked["position"])
        return self._reading


def main() -> None:
    memory, seconds = (int(value) for value in sys.argv[1:3])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = _Answers()
    for line in sys.stdin:
        signal.alarm(seconds)  # nobody catches it: the process ends
        answer: dict[str, Any]
        try:
            answer = answers.to(json.loads(line))
        except (Unreadable, ValueError) as error:
            answer = {"error": str(error)}
        except MemoryError:
            answer = {"error": "The file needs more memory than reading one may take."}
        except Exception:  # noqa: BLE001  readers of foreign files raise whatever they like
            answer = {"error": "The file is damaged: it cannot be read to its end."}
        signal.alarm(0)
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
