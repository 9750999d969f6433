"""POST /v1/embeddings: OpenAI's form over the tasks feature-extraction."""

import base64
from array import array
from typing import Any

from apps.accounts.models import APIKey
from apps.api.auth import check_model
from apps.api.errors import worker_error
from apps.api.idempotency import Ticket
from apps.api.schemas import EmbeddingsIn
from apps.quotas.asking import ask
from contracts.messages import Event

TASK = "feature-extraction"


async def embeddings(key: APIKey, payload: EmbeddingsIn, ticket: Ticket) -> dict[str, Any]:
    """Raises APIError for what the worker refuses, and what `ask` raises."""
    check_model(key, payload.model)
    request, answer = await ask(
        key,
        name=payload.model,
        task=TASK,
        inputs=payload.as_inputs(),
        request_id=ticket.request_id,
        keep=ticket.keep,
    )
    if Event.ERROR in answer:
        raise worker_error(_named(answer[Event.ERROR]))
    result, tokens = answer[Event.RESULT], answer[Event.DONE]["prompt_tokens"]
    return {
        "object": "list",
        "data": _data(result, as_text=payload.encoding_format == "base64"),
        "model": request.deployment,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _data(result: dict[str, Any], *, as_text: bool) -> list[dict[str, Any]]:
    """One entry a vector: base64 of little-endian float32, or numbers."""
    content, width = base64.b64decode(result["embeddings"]), 4 * result["dimensions"]
    rows = (content[start : start + width] for start in range(0, len(content), width))
    return [
        {"object": "embedding", "index": index, "embedding": _text(row) if as_text else _numbers(row)}
        for index, row in enumerate(rows)
    ]


def _text(row: bytes) -> str:
    return base64.b64encode(row).decode()


def _numbers(row: bytes) -> list[float]:
    return array("f", row).tolist()


def _named(error: dict[str, Any]) -> dict[str, Any]:
    """The worker speaks of texts by number; the client knows them as `input`."""
    return {**error, "param": error.get("param", "input")}
