"""How tests ask an API: bodies in, statuses and server-sent events out."""

import json
from dataclasses import dataclass
from typing import Any

from django.test import AsyncClient

from apps.accounts.keys import create_api_key
from apps.accounts.models import User


@dataclass(frozen=True, slots=True)
class SentEvent:
    id: str  # the last one said, as a browser would remember it
    event: str
    data: Any  # text where it is no JSON


def bearer(owner: User, **values: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {create_api_key(owner=owner, name='k', **values)[1]}"}


async def post(path: str, body: Any, headers: dict[str, str]) -> Any:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return await AsyncClient().post(path, content, content_type="application/json", headers=headers)


async def text_of(response: Any) -> str:
    return b"".join([part async for part in response.streaming_content]).decode()


def events_of(text: str) -> list[SentEvent]:
    """By the rules of the HTML standard: fields in lines, an empty line ends an event, the id stays, a colon begins a
    comment."""
    events, last_id = [], ""
    for block in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        last_id = fields.get("id", last_id)
        if "data" in fields:
            events.append(SentEvent(last_id, fields.get("event", "message"), _value(fields["data"])))
    return events


def _value(data: str) -> Any:
    return data if data == "[DONE]" else json.loads(data)
