"""Tables as CSV that a spreadsheet reads, and runs nothing of."""

import csv
from collections.abc import Iterable

MARK = "\ufeff"  # at the beginning of a file it tells spreadsheets that it is UTF-8
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """csv writes to it and gets the line back."""

    def write(self, line: str) -> str:
        return line


def harmless(value: str) -> str:
    """A cell that a spreadsheet would run is shown instead."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def text(rows: Iterable[Iterable[object]]) -> str:
    """The rows as lines."""
    writer = csv.writer(_Echo())
    return "".join(writer.writerow(row) for row in rows)
