"""How addresses with JSON answer: what cannot be is a 400 or 409 with reasons, a limit a 429."""

import functools
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from apps.quotas.refusing import REFUSALS, explain

_CLIENTS_FAULT = 422


def as_json(view: Callable[..., Any]) -> Callable[..., HttpResponseBase]:
    """The view returns what is to be said, or a response of its own."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            found = view(request, *args, **kwargs)
        except REFUSALS as error:
            return _refusal(error)
        return found if isinstance(found, HttpResponseBase) else JsonResponse(found)

    return wrapper


def _refusal(error: Exception) -> HttpResponse:
    status, said = explain(error)
    reasons = said.get("reasons") or [said.get("limit") or said.get("no_worker") or str(error)]
    response = JsonResponse(
        {"reasons": [str(one) for one in reasons]}, status=400 if status == _CLIENTS_FAULT else status
    )
    if "retry_after" in said:
        response["Retry-After"] = str(said["retry_after"])
    return response
