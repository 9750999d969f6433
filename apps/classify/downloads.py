"""The classes of a file, made while they are sent."""

import json
from collections.abc import Iterator

from django.http import Http404, StreamingHttpResponse
from django.utils.http import content_disposition_header

from apps.audit.spreadsheet import MARK, csv_text, harmless
from apps.classify import queries
from apps.classify.models import Batch


def download(found: Batch, kind: str) -> StreamingHttpResponse:
    """As csv or jsonl. Raises Http404 for another kind."""
    if kind not in _KINDS:
        raise Http404
    lines, content_type = _KINDS[kind]
    response = StreamingHttpResponse(lines(found), content_type=f"{content_type}; charset=utf-8")
    name = f"{found.file_name.rpartition('.')[0] or found.file_name}-classes.{kind}"
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    return response


def _csv(found: Batch) -> Iterator[str]:
    """Every row of the file that held a text, with the score of every class."""
    labels = sorted({label for row in queries.first_rows(found, 64) for label in row["scores"]})
    yield MARK + csv_text([["row", "text", "class", "score", *map(harmless, labels), "right", "error"]])
    for row in queries.all_rows(found):
        scores = [row["scores"].get(label, "") for label in labels]
        text, best, right, error = (harmless(row[name]) for name in ("text", "label", "right", "error"))
        yield csv_text([[row["row"], text, best, row["score"], *scores, right, error]])


def _jsonl(found: Batch) -> Iterator[str]:
    for row in queries.all_rows(found):
        told = {name: value for name, value in row.items() if value not in ("", None, {})}
        yield json.dumps(told, ensure_ascii=False) + "\n"


_KINDS = {"csv": (_csv, "text/csv"), "jsonl": (_jsonl, "application/jsonl")}
