"""The classes of a file, made while they are sent: a few hundred texts are in memory at a time."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, StreamingHttpResponse
from django.utils.http import content_disposition_header

from apps.audit.spreadsheet import MARK, csv_text, harmless
from apps.classify import queries
from apps.classify.models import Batch

Lines = Callable[[list[dict[str, Any]]], str]


def download(found: Batch, kind: str) -> StreamingHttpResponse:
    """Every row of the file that held a text, as csv or jsonl. Raises Http404 for another kind."""
    if kind not in _KINDS:
        raise Http404
    form, content_type = _KINDS[kind]
    response = StreamingHttpResponse(_pieces(found, form), content_type=f"{content_type}; charset=utf-8")
    name = f"{found.file_name.rpartition('.')[0] or found.file_name}-classes.{kind}"
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return response


async def _pieces(found: Batch, form: Callable[[Batch], tuple[str, Lines]]) -> AsyncIterator[str]:
    """One query each, so that no cursor stays open while a client reads slowly."""
    head, lines = await sync_to_async(form)(found)
    yield head
    text, number = await sync_to_async(_next)(found, -1, lines)
    while text:
        yield text
        text, number = await sync_to_async(_next)(found, number, lines)


def _next(found: Batch, after: int, lines: Lines) -> tuple[str, int]:
    """The text of a few chunks and the number of the last; none at the end."""
    rows, number = queries.next_rows(found, after)
    return lines(rows), number


def _csv(found: Batch) -> tuple[str, Lines]:
    """With the score of every class."""
    labels = sorted({label for row in queries.first_rows(found, 64) for label in row["scores"]})

    def line(row: dict[str, Any]) -> list[object]:
        scores = [row["scores"].get(label, "") for label in labels]
        text, best, right, error = (harmless(row[name]) for name in ("text", "label", "right", "error"))
        return [row["row"], text, best, row["score"], *scores, right, error]

    head = csv_text([["row", "text", "class", "score", *map(harmless, labels), "right", "error"]])
    return MARK + head, lambda rows: csv_text(map(line, rows))


def _jsonl(found: Batch) -> tuple[str, Lines]:
    def line(row: dict[str, Any]) -> str:
        told = {name: value for name, value in row.items() if value not in ("", None, {})}
        return json.dumps(told, ensure_ascii=False) + "\n"

    return "", lambda rows: "".join(map(line, rows))


_KINDS = {"csv": (_csv, "text/csv"), "jsonl": (_jsonl, "application/jsonl")}
