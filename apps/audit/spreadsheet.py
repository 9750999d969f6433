"""Tables for spreadsheets: CSV in pieces, in which no cell is run."""

import csv
from collections.abc import Iterable

MARK = "\ufeff"  # tells spreadsheets that what follows is UTF-8
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # full width: as typed in Chinese and Japanese


class _Echo:
    """csv writes to it and gets the line back."""

    def write(self, line: str) -> str:
        return line


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    writer = csv.writer(_Echo())
    return "".join(writer.writerow(row) for row in rows)


def harmless(value: str) -> str:
    """A cell that a spreadsheet would run is shown instead."""
    return f"'{value}" if value.startswith(_FORMULA) else value
