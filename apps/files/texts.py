"""Texts out of a file that somebody sent: .txt (a text a line), .csv, .tsv, .jsonl.

Everything of the file can be wrong. What is wrong with the whole file raises UnreadableFile with a sentence for the
person; a row without a text is skipped and named. Rows are looked at one after the other, each of a bounded size: a
small file of many cells is many times its size as objects.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

MAX_ROWS = 100_000
MAX_CHARS = 1_000_000  # of one text
MAX_COLUMNS = 1000
MAX_ROW_CHARS = 2_000_000  # as it stands in the file, with all of its columns
_ENCODINGS = ("utf-8-sig", "utf-16", "gb18030")
_TEXT_NAMES = ("text", "texts", "content", "sentence", "review", "title", "comment", "文本", "内容", "评论", "句子")
LABEL_NAMES = ("label", "class", "category", "target", "标签", "类别")
_SKIPPED_SHOWN = 100
_SAMPLE = 50


class UnreadableFile(ValueError):
    """What is wrong with the file, for the person who sent it."""


@dataclass(slots=True)
class Texts:
    """What a file holds. A row is numbered as an editor numbers its lines, the first of data of a table being 1."""

    column: str = ""
    label_column: str = ""
    most: int = MAX_ROWS
    rows: list[tuple[int, str, str]] = field(default_factory=list)  # number, text, right answer or ""
    skipped: list[tuple[int, str]] = field(default_factory=list)  # number, reason

    def add(self, number: int, text: Any, label: Any = "") -> None:
        """Raises UnreadableFile when there are too many."""
        if reason := _fault(text):
            if len(self.skipped) < _SKIPPED_SHOWN:
                self.skipped.append((number, reason))
            return
        if len(self.rows) >= self.most:
            raise UnreadableFile(_("The file has more than %(n)s rows. Split it.") % {"n": f"{self.most:,}"})
        self.rows.append((number, text.strip(), "" if label is None else str(label).strip()))


def read(content: bytes, *, name: str, column: str = "", most: int = MAX_ROWS) -> Texts:
    """Raises UnreadableFile."""
    text = decoded(content)
    if name.lower().endswith(".txt"):
        texts = _lines(text, most)
    elif name.lower().endswith((".jsonl", ".ndjson")):
        texts = _table(lambda: _objects(text), column, most)
    elif name.lower().endswith((".csv", ".tsv")):
        texts = _table(lambda: _records(text), column, most)
    else:
        raise UnreadableFile(_("Send a .txt, .csv, .tsv or .jsonl file."))
    if not texts.rows:
        raise UnreadableFile(_("The file has no text in it."))
    return texts


def decoded(content: bytes) -> str:
    """Raises UnreadableFile."""
    for encoding in _ENCODINGS:
        if encoding == "utf-16" and content[:2] not in {b"\xff\xfe", b"\xfe\xff"}:
            continue
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableFile(_("The file is no text in UTF-8, UTF-16 or GB 18030. Save it as UTF-8 and send it again."))


def _lines(text: str, most: int) -> Texts:
    texts = Texts(most=most)
    lines = _Lines(text)
    for number, line in enumerate(lines, 1):
        lines.begin_row()
        if line.strip():
            texts.add(number, line)
    return texts


class _Lines:
    """Of a text, one after the other. Raises UnreadableFile for a row that is too long, whatever lines it goes over."""

    def __init__(self, text: str, *, newline: str | None = None) -> None:
        self._lines = io.StringIO(text, newline=newline)
        self._row = 0

    def begin_row(self) -> None:
        self._row = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._row += len(line)
        if self._row > MAX_ROW_CHARS:
            raise UnreadableFile(_("A row has more than %(n)s characters. Split it.") % {"n": f"{MAX_ROW_CHARS:,}"})
        return line


def _records(text: str) -> Iterator[dict[str, Any]]:
    """Rows of a table whose first line names the columns."""
    try:
        dialect: Any = csv.Sniffer().sniff(text[:8192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    csv.field_size_limit(MAX_CHARS)
    lines = _Lines(text, newline="")
    names: list[str] | None = None
    try:
        for row in csv.reader(lines, dialect=dialect):
            lines.begin_row()
            _check_width(len(row))
            if names is None:
                names = row
            elif row:
                yield dict(zip(names, row, strict=False))
    except csv.Error as error:
        raise UnreadableFile(_("The table cannot be read: %(error)s") % {"error": error}) from error


def _objects(text: str) -> Iterator[dict[str, Any]]:
    lines = _Lines(text)
    for number, line in enumerate(lines, 1):
        lines.begin_row()
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableFile(_("Line %(n)s is not JSON: %(error)s") % {"n": number, "error": error}) from error
        yield value if isinstance(value, dict) else {"text": value}


def _table(records: Callable[[], Iterator[dict[str, Any]]], column: str, most: int) -> Texts:
    """Twice through the records: for the columns, then for their texts."""
    lengths = _lengths(records())
    names = list(lengths)
    if column and column not in names:
        raise UnreadableFile(
            _("There is no column %(column)s. The file has: %(names)s")
            % {"column": column, "names": ", ".join(names)[:200]}
        )
    texts = Texts(column or _text_column(lengths), _named(names, LABEL_NAMES), most)
    if texts.label_column == texts.column:
        texts.label_column = ""
    for number, record in enumerate(records(), 1):
        texts.add(number, record.get(texts.column), record.get(texts.label_column, ""))
    return texts


def _lengths(records: Iterator[dict[str, Any]]) -> dict[str, int]:
    """Every column, with how much text the first records have in it."""
    lengths: dict[str, int] = {}
    for number, record in enumerate(records):
        for name, value in record.items():
            lengths.setdefault(name, 0)
            if number < _SAMPLE and isinstance(value, str):
                lengths[name] += len(value)
        _check_width(len(lengths))
    return lengths


def _check_width(columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise UnreadableFile(
            _("The file has more than %(n)s columns. Leave only those that are needed.") % {"n": f"{MAX_COLUMNS:,}"}
        )


def _text_column(lengths: dict[str, int]) -> str:
    """The one that is called so, or else the one with the longest values."""
    if not lengths:
        raise UnreadableFile(_("The file has no columns."))
    return _named(list(lengths), _TEXT_NAMES) or max(lengths, key=lambda name: lengths[name])


def _named(names: list[str], wanted: tuple[str, ...]) -> str:
    return next((name for want in wanted for name in names if name.strip().lower() == want), "")


def _fault(text: Any) -> str:
    """Why this is no text, or nothing."""
    if not isinstance(text, str):
        return _("not a text")
    if not text.strip():
        return _("empty")
    if len(text) > MAX_CHARS:
        return _("longer than %(n)s characters") % {"n": f"{MAX_CHARS:,}"}
    return _("contains a NUL character") if "\x00" in text else ""
