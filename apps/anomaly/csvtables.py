"""Text files with columns: which letters, delimiter and decimal sign they use, found by looking at their beginning."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 256 * 1024  # characters that are looked at
_NUMBER = re.compile(r"[+-]?(?:\d[\d ']*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d[\d.' ]*,\d+(?:[eE][+-]?\d+)?")
_MISSING = {"", "-", "na", "n/a", "nan", "null", "none", "nil", "\\n", "?", "#n/a"}
csv.field_size_limit(1_000_000)


class Unreadable(Exception):
    """Says why, to the person who sent the file."""


@dataclass(slots=True)
class Form:
    """How a file is written."""

    encoding: str
    delimiter: str
    decimal: str  # . or ,
    names: list[str]
    has_header: bool
    sample: list[list[str]] = field(default_factory=list)  # rows behind the header

    def rows(self, path: Path) -> Iterator[list[str]]:
        """Those behind the header; empty lines are left out."""
        with path.open(encoding=self.encoding, errors="replace", newline="") as file:
            reader = csv.reader((line.replace("\0", "") for line in file), delimiter=self.delimiter)
            if self.has_header:
                next(reader, None)
            yield from (row for row in reader if any(cell.strip() for cell in row))


def form_of(path: Path) -> Form:
    """Raises Unreadable."""
    head = _head(path)
    encoding = _encoding(head)
    text = head.decode(encoding, errors="replace")
    if "\0" in text:
        raise Unreadable("The file is no text: a CSV file or a Parquet file is read here.")
    lines = text.splitlines()[: 400 if len(head) < _SAMPLE else -1][:400]
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise Unreadable("The file is empty.")
    delimiter = _delimiter(lines)
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    width = max(len(row) for row in rows)
    has_header = not any(is_number(cell, ".") or is_number(cell, ",") for cell in rows[0])
    first = rows[0] if has_header else []
    names = [(first[n].strip() if n < len(first) else "") or f"column {n + 1}" for n in range(width)]
    sample = rows[1:] if has_header else rows
    return Form(encoding, delimiter, _decimal(sample, delimiter), unique(names), has_header, sample)


def unique(names: list[str]) -> list[str]:
    """A second column of the same name gets a number."""
    found: list[str] = []
    for name in names:
        shown, number = name[:200], 1
        while shown in found:
            number += 1
            shown = f"{name[:190]} {number}"
        found.append(shown)
    return found


def is_missing(cell: str) -> bool:
    return cell.strip().lower() in _MISSING


def is_number(cell: str, decimal: str) -> bool:
    cell = cell.strip()
    return bool(_NUMBER.fullmatch(cell) or (decimal == "," and _COMMA.fullmatch(cell)))


def number(cell: str, decimal: str) -> float | None:
    """None where the cell is no number."""
    cell = cell.strip()
    if not is_number(cell, decimal):
        return None
    cell = cell.replace(" ", "").replace("'", "")
    return float(cell.replace(".", "").replace(",", ".") if decimal == "," and "," in cell else cell)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SAMPLE)


def _encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            head.decode(encoding)
            return encoding
        except UnicodeDecodeError as error:
            if error.start > len(head) - 4:  # only cut in the middle of a character
                return encoding
    return "latin-1"


def _delimiter(lines: list[str]) -> str:
    """The one that cuts most lines into the same number of cells, more of them where that is equal."""

    def fitness(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        commonest = max(set(widths), key=widths.count)
        return (widths.count(commonest) / len(widths), commonest) if commonest > 1 else (0.0, 0)

    return max(DELIMITERS, key=fitness)


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    if delimiter == ",":
        return "."
    cells = [cell.strip() for row in rows for cell in row]
    commas = sum(bool(_COMMA.fullmatch(cell)) for cell in cells)
    return "," if commas and commas > sum("." in cell and bool(_NUMBER.fullmatch(cell)) for cell in cells) else "."
