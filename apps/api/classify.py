"""POST /api/v1/classify: labels with scores from a model of the task text-classification."""

from typing import Any

from apps.accounts.models import APIKey
from apps.api.auth import check_model
from apps.api.errors import worker_error
from apps.api.idempotency import Ticket
from apps.api.schemas import ClassifyIn
from apps.quotas.asking import ask
from contracts.messages import Event

TASK = "text-classification"


async def classify(key: APIKey, payload: ClassifyIn, ticket: Ticket) -> dict[str, Any]:
    """{model, results: for each text [{label, score}] with the highest score first, usage}."""
    check_model(key, payload.model)
    sent, answer = await ask(
        key,
        name=payload.model,
        task=TASK,
        inputs=payload.as_inputs(),
        request_id=ticket.request_id,
        keep=ticket.keep,
    )
    if Event.ERROR in answer:
        error = answer[Event.ERROR]
        raise worker_error({**error, "param": error.get("param", payload.field)})
    return {
        "model": sent.deployment,
        "results": answer[Event.RESULT]["labels"],
        "usage": {"prompt_tokens": answer[Event.DONE]["prompt_tokens"]},
    }
