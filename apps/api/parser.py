"""Bodies of requests: JSON, or a refusal in our own form."""

import json
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

from apps.api.errors import APIError


class JSONParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        try:
            return json.loads(request.body)
        except (ValueError, RecursionError):
            raise APIError(422, "body: is not JSON", kind="invalid_request_error", param="body") from None
