"""Bodies of requests: JSON, or a refusal in our own form."""

import json
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

from apps.api.errors import BAD_REQUEST, APIError

_TYPES = ("", "application/json")


class JSONParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type not in _TYPES:
            message = f"The body is {request.content_type}; send application/json."
            raise APIError(415, message, kind=BAD_REQUEST, param="Content-Type", code="unsupported_media_type")
        try:
            return json.loads(request.body)
        except (ValueError, RecursionError):
            raise APIError(400, "body: is not JSON", kind=BAD_REQUEST, param="body") from None
