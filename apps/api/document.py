"""The OpenAPI document of both APIs, made from their operations; what every operation can refuse is added here."""

import json
import re
from functools import cache
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.translation import override
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from apps.accounts.models import Scope
from apps.api import native, openai

_ABOUT = """Two APIs with the same keys, errors and headers: `/v1` in OpenAI's form, and our own `/api/v1`.

Lists are `{"data": [...], "next": cursor or null}`; send `next` as `cursor` to get the page behind.
Each operation names the scope that its key needs."""

_ERRORS = {
    400: "The body, a parameter or a header is wrong; `param` names which.",
    401: "No key, an unknown one, or one that has ended.",
    403: "The key lacks the scope, its owner a second factor, or it would give more than it has.",
    404: "It is not there, or is another's.",
    409: "It does not fit the state of the thing, or the first request with this Idempotency-Key is still at work.",
    413: "More than the server takes.",
    415: "The body is not application/json.",
    422: "The Idempotency-Key was used for another request.",
    429: "A limit is reached. The message says which, until when, and whom to ask.",
    500: "Our mistake.",
    503: "No worker, a full queue, or a store that does not answer.",
    504: "The time for an answer ran out.",
}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The field, parameter or header."},
                "code": {"type": "string"},
            },
        }
    },
}
_IDEMPOTENCY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
    "description": "With the same value and body it is done once within 24 hours, and answers the same again.",
}
_LAST_EVENT = {
    "in": "header",
    "name": "Last-Event-ID",
    "required": False,
    "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
    "description": "The id of the last event that was seen: the stream goes on behind it.",
}


_NAMED = re.compile(r"#/components/schemas/(\w+)")


class _Operations(OpenAPISchema):
    """The operations of one API with what ninja does not know of them."""

    def operation_security(self, operation: Operation) -> list[dict[str, Any]]:
        return [{"key": [auth.scope.value]} for auth in operation.auth_callbacks]  # type: ignore[attr-defined]

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        details: dict[str, Any] = super().operation_details(operation)
        marks = {name: details.pop(name, None) for name in ("x-idempotent", "x-resumable", "x-also")}
        details["parameters"] += [_IDEMPOTENCY] if marks["x-idempotent"] else []
        details["parameters"] += [_LAST_EVENT] if marks["x-resumable"] else []
        statuses = _refusals(operation.methods[0], details) | set(marks["x-also"] or ())
        answers = {str(status): answer for status, answer in details["responses"].items()}
        details["responses"] = answers | {str(status): {"$ref": _response(status)} for status in sorted(statuses)}
        return details


def _refusals(method: str, details: dict[str, Any]) -> set[int]:
    """What an operation of this form can answer instead."""
    places = {parameter["in"] for parameter in details["parameters"]}
    kinds = set(details.get("requestBody", {}).get("content", {}))
    found = {401, 403, 500, 503}
    found |= {400} if method in ("POST", "PUT", "PATCH") or places & {"query", "header"} else set()
    found |= {404} if "path" in places else set()
    found |= {413} if kinds else set()
    found |= {415} if "application/json" in kinds else set()
    return found | ({409, 422} if _IDEMPOTENCY in details["parameters"] else set())


def _response(status: int) -> str:
    return f"#/components/responses/{status}"


def _error_response(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Error"}
    response: dict[str, Any] = {"description": _ERRORS[status], "content": {"application/json": {"schema": schema}}}
    return response | ({"headers": _RETRY} if status in (429, 503) else {})


def _of(api: NinjaAPI, prefix: str) -> _Operations:
    return _Operations(api, prefix)


def _used(paths: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schemas that a path names, or that one of them names: ninja leaves those of its parameters as well."""
    found: dict[str, Any] = {}
    names = set(_NAMED.findall(json.dumps(paths)))
    while fresh := names - set(found):
        found |= {name: schemas[name] for name in sorted(fresh)}
        names |= set(_NAMED.findall(json.dumps([schemas[name] for name in fresh])))
    return found


@cache
def document() -> dict[str, Any]:
    ours, theirs = _of(native.api, "api/v1"), _of(openai.api, "v1")
    paths = {**theirs["paths"], **ours["paths"]}
    with override("en"):
        scopes = "\n".join(f"- `{scope.value}`: {scope.label}" for scope in Scope)
    return {
        "openapi": "3.1.0",
        "info": {"title": "DeepSeek Web", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **_used(paths, theirs.schemas | ours.schemas)},
            "responses": {str(status): _error_response(status) for status in _ERRORS},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "dsw-…",
                    "description": f"A key of the keys page. Its scopes:\n\n{scopes}",
                }
            },
        },
    }


@require_safe
async def openapi(request: HttpRequest) -> JsonResponse:
    """GET /api/v1/openapi.json, for everybody: it tells nothing that is anybody's."""
    return JsonResponse(document(), json_dumps_params={"ensure_ascii": False})
