"""Files of texts with their classes: CSV, TSV or JSON Lines."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _

_TEXT_NAMES = ("text", "sentence", "content", "message")
_LABEL_NAMES = ("label", "class", "category", "target")
_MOST_ROWS = 2000


def read(content: bytes, name: str) -> list[tuple[str, str]]:
    """(text, name of its class, or empty) of each row. Raises ValueError with a sentence for the person."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(_("The file is no text in UTF-8.")) from error
    if "\x00" in text:
        raise ValueError(_("The file contains a NUL character."))
    records = list(_records(text, name.lower()))
    if len(records) > _MOST_ROWS:
        raise ValueError(_("The file has more than %(n)s rows.") % {"n": _MOST_ROWS})
    rows = [(_first(one, _TEXT_NAMES), _first(one, _LABEL_NAMES)) for one in records]
    found = [row for row in rows if row[0]]
    if not found:
        raise ValueError(_("The file has no column text, or nothing in it."))
    return found


def _records(text: str, name: str) -> Iterator[dict[str, Any]]:
    if name.endswith((".jsonl", ".ndjson")):
        yield from _objects(text)
        return
    delimiter = "\t" if name.endswith(".tsv") else ","
    try:
        for row in csv.DictReader(io.StringIO(text), delimiter=delimiter):
            yield {str(key).strip().lower(): value for key, value in row.items()}
    except csv.Error as error:
        raise ValueError(_("The table cannot be read: %(error)s") % {"error": error}) from error


def _objects(text: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(_("Line %(n)s is not JSON: %(error)s") % {"n": number, "error": error}) from error
        if isinstance(value, dict):
            yield {str(key).lower(): one for key, one in value.items()}


def _first(record: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((str(record[name]).strip() for name in names if record.get(name) not in (None, "")), "")
