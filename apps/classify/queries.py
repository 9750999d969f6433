"""What the classification pages show."""

from typing import Any

from django.db.models import QuerySet

from apps.accounts.models import User
from apps.classify.models import Batch, Chunk

_SHOWN = 20
_CHUNKS_READ = 8


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


def next_rows(batch: Batch, after: int) -> tuple[list[dict[str, Any]], int]:
    """As first_rows, those of the next few chunks behind the chunk of this number, and the last one's; no rows at the
    end."""
    chunks = list(batch.chunks.filter(number__gt=after)[:_CHUNKS_READ])
    return [row for chunk in chunks for row in _rows(chunk)], chunks[-1].number if chunks else after


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
