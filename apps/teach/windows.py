"""Windows of a sensor as people write them: a line of numbers, or a table. A window is kept as its numbers with spaces
between them, in the digits that a model sees, so that the same one is known again.

Everything that is sent can be wrong. A line that cannot be read is named with what is wrong, and the others are kept.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from apps.files.texts import LABEL_NAMES, UnreadableFile, decoded
from contracts.few_shot import LARGEST, LEAST_VALUES, MOST_VALUES

_WINDOW_NAMES = ("window", "windows", "values", "value", "readings", "text", "窗口", "数值", "读数")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_AS_ASCII = str.maketrans("，；．−－＋", ",;.--+")
_SHOWN = 24  # characters of what is no number
_DIGITS = 9  # more than a float of 32 bits has
_POINTS = 48  # of a small line


@dataclass(slots=True)
class Windows:
    """What was read: each with the name of its class, or none; and what is wrong with the other lines."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, number: int, make: Callable[[], str], label: str = "") -> None:
        try:
            self.rows.append((make(), label))
        except ValueError as error:
            self.faults.append(_("Line %(n)s: %(reason)s") % {"n": number, "reason": error})


def parse(line: str) -> str:
    """A line of numbers as it is kept. Separators are semicolons or tabs, between which a comma is the decimal one, or
    commas, or spaces. Raises ValueError with a sentence."""
    return kept(_cells(line.translate(_AS_ASCII).strip().removeprefix("[").removesuffix("]")))


def kept(cells: Iterable[str]) -> str:
    """Raises ValueError with a sentence."""
    values = [_value(place, cell.strip()) for place, cell in enumerate(cells, 1)]
    if len(values) < LEAST_VALUES:
        raise ValueError(
            _("it has %(n)s values; a window has at least %(least)s") % {"n": len(values), "least": LEAST_VALUES}
        )
    if len(values) > MOST_VALUES:
        raise ValueError(
            _("it has %(n)s values; a window has at most %(most)s") % {"n": len(values), "most": MOST_VALUES}
        )
    return " ".join(f"{value:.{_DIGITS}g}" for value in values)


def numbers(text: str) -> list[float]:
    """Of a window as it is kept."""
    return [float(one) for one in text.split()]


def lines(text: str) -> Windows:
    """A window a line; empty lines are none."""
    found = Windows()
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            found.add(number, lambda line=line: parse(line))  # type: ignore[misc]
    return found


def table(content: bytes, *, name: str, most: int) -> Windows:
    """A table with a column for the class, and one for the window or as many as it has values; or JSON Lines. Raises
    UnreadableFile for what is wrong with all of it."""
    text, found = decoded(content), Windows()
    rows = _objects(text) if name.lower().endswith((".jsonl", ".ndjson")) else _records(text, name)
    for number, make, label in rows:
        if len(found.rows) >= most:
            raise UnreadableFile(_("The file has more than %(n)s rows. Split it.") % {"n": f"{most:,}"})
        found.add(number, make, label)
    if not found.rows and not found.faults:
        raise UnreadableFile(_("The file has no window in it."))
    return found


def spark(text: str, width: int = 96, height: int = 28) -> str:
    """Points of a small line; the lowest value is at the foot. Of a long window a few values."""
    values = numbers(text)
    count = min(len(values), _POINTS)
    shown = [values[round(at * (len(values) - 1) / (count - 1))] for at in range(count)]
    low, high = min(shown), max(shown)
    shares = [(one - low) / (high - low) if high > low else 0.5 for one in shown]
    return " ".join(
        f"{at * width / (count - 1):.1f},{height - 2 - share * (height - 4):.1f}" for at, share in enumerate(shares)
    )


def _cells(line: str) -> list[str]:
    for separator in (";", "\t"):
        if separator in line:
            return [_with_point(cell) for cell in line.rstrip(separator).split(separator)]
    has_space, has_comma = re.search(r"\S\s+[^\s,]", line), re.search(r"[^\s,],[^\s,]", line)
    if has_space and has_comma and not re.search(r",\s", line):
        raise ValueError(
            _("it has commas and spaces; where a comma is the decimal one, write semicolons between values")
        )
    line = line.rstrip(", ")
    return re.split(r"\s*,\s*|\s+", line) if line else []


def _with_point(cell: str) -> str:
    """With a decimal point, where a comma is one."""
    return cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell


def _value(place: int, cell: str) -> float:
    if not _NUMBER.fullmatch(cell):
        raise ValueError(_("value %(n)s is no number: %(value)s") % {"n": place, "value": cell[:_SHOWN] or _("empty")})
    value = float(cell)
    if abs(value) > LARGEST:
        raise ValueError(_("value %(n)s is too large: %(value)s") % {"n": place, "value": cell[:_SHOWN]})
    return value


def _records(text: str, name: str) -> Iterator[tuple[int, Callable[[], str], str]]:
    head = text.partition("\n")[0]
    separator = "\t" if name.lower().endswith(".tsv") else max(",;\t", key=head.count)
    csv.field_size_limit(len(text) + 1)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        names = [one.strip().lower() for one in next(rows, [])]
        label, window = _place(names, LABEL_NAMES), _place(names, _WINDOW_NAMES)
        if window is None and (label is None or len(names) < 2):
            raise UnreadableFile(_("The first line has to name the columns: label, and window or one for each value."))
        for number, row in enumerate(rows, 2):
            if any(cell.strip() for cell in row):
                said = row[label].strip() if label is not None and label < len(row) else ""
                yield number, lambda row=row: _of_row(row, label, window, len(names)), said  # type: ignore[misc]
    except csv.Error as error:
        raise UnreadableFile(_("The table cannot be read: %(error)s") % {"error": error}) from error


def _of_row(row: list[str], label: int | None, window: int | None, columns: int) -> str:
    is_spread = window == columns - 1 and len(row) > columns  # nobody has quoted its commas
    if window is not None and not is_spread:
        return parse(row[window] if window < len(row) else "")
    cells = [cell for place, cell in enumerate(row) if place != label and place >= (window or 0)]
    while cells and not cells[-1].strip():  # of a shorter window
        cells.pop()
    return kept(_with_point(cell.translate(_AS_ASCII)) for cell in cells)


def _objects(text: str) -> Iterator[tuple[int, Callable[[], str], str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            said = None
        named = {name.strip().lower(): value for name, value in said.items()} if isinstance(said, dict) else {}
        label = next((named[name] for name in LABEL_NAMES if named.get(name) is not None), "")
        window = next((named[name] for name in _WINDOW_NAMES if name in named), said)
        yield number, lambda window=window: _of_json(window), str(label).strip()  # type: ignore[misc]


def _of_json(window: Any) -> str:
    if isinstance(window, str):
        return parse(window)
    if not isinstance(window, list):
        raise ValueError(_("it is no JSON with a window as a list of numbers"))
    return kept("" if one is None or isinstance(one, bool) else str(one) for one in window)


def _place(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((names.index(one) for one in wanted if one in names), None)
