"""What the classification pages show."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from apps.accounts.models import User
from apps.classify.models import Batch, Chunk

_SHOWN = 20
_CHUNKS_READ = 50


def recent_batches(owner: User) -> QuerySet[Batch]:
    return Batch.objects.filter(owner=owner).defer("skipped")[:_SHOWN]


def first_rows(batch: Batch, count: int = 50) -> list[dict[str, Any]]:
    """{row, text, right, label, score, error} of the first rows of the file."""
    rows: list[dict[str, Any]] = []
    for chunk in batch.chunks.all()[: count // 8]:
        rows += _rows(chunk)
        if len(rows) >= count:
            break
    return rows[:count]


def all_rows(batch: Batch) -> Iterator[dict[str, Any]]:
    """As first_rows, all of them in the order of the file, read a few chunks at a time."""
    number = -1
    while chunks := list(batch.chunks.filter(number__gt=number)[:_CHUNKS_READ]):
        number = chunks[-1].number
        for chunk in chunks:
            yield from _rows(chunk)


def _rows(chunk: Chunk) -> list[dict[str, Any]]:
    return [
        {"row": row, "text": text, "right": right, **_best(result)}
        for (row, text, right), result in zip(chunk.rows, chunk.results, strict=True)
    ]


def _best(result: Any) -> dict[str, Any]:
    if isinstance(result, dict):
        return {"label": "", "score": None, "scores": {}, "error": result["error"]}
    if not result:
        return {"label": "", "score": None, "scores": {}, "error": ""}
    return {"label": result[0][0], "score": result[0][1], "scores": dict(result), "error": ""}
