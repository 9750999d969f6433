"""What both APIs have in common, and the marks by which an operation tells the document what it answers."""

from typing import Any

from ninja import NinjaAPI
from ninja.operation import Operation

from apps.api import errors
from apps.api.parser import JSONParser


class API(NinjaAPI):
    """JSON in, errors in one form; the document and its page are made for both together (document.py)."""

    def __init__(self, **values: Any) -> None:
        super().__init__(version="1", parser=JSONParser(), docs_url=None, openapi_url=None, **values)
        errors.install(self)

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__


def also(*statuses: int) -> dict[str, Any]:
    """For openapi_extra: errors beside those that the operation's form tells already."""
    return {"x-also": list(statuses)}


# It asks a model: limits and missing workers, and a model that is not there.
SENDS = also(404, 429)
# It waits for the answer as well.
ASKS = {**also(404, 429, 504), "x-idempotent": True}


def streams(name: str, text: str) -> dict[str, Any]:
    """For openapi_extra: instead of the JSON there may be server-sent events, which can be resumed."""
    schema = {"type": "string", "description": text, "contentMediaType": "text/event-stream"}
    events = {"text/event-stream": {"schema": schema, "example": f"id: 1\ndata: {name}\n\n"}}
    return {"x-resumable": True, "responses": {200: {"content": events}}}
