"""Bodies of requests: JSON, or a refusal in our own form."""

import json
import zlib
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja.parser import Parser

from apps.api.errors import BAD_REQUEST, APIError

_TYPES = ("", "application/json")


class JSONParser(Parser):
    def parse_body(self, request: HttpRequest) -> Any:
        if request.content_type not in _TYPES:
            message = f"The body is {request.content_type}; send application/json."
            raise APIError(415, message, kind=BAD_REQUEST, param="Content-Type", code="unsupported_media_type")
        content = request.body
        if encoding := request.headers.get("Content-Encoding"):
            content = _unpacked(content, encoding)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise APIError(400, "body: is not JSON", kind=BAD_REQUEST, param="body") from None


def _unpacked(content: bytes, encoding: str) -> bytes:
    """Of a body in gzip, at most twice as many bytes as one that is not packed may have."""
    if encoding.lower() != "gzip":
        message = f"Content-Encoding: {encoding[:40]} is not understood; send gzip or nothing."
        raise APIError(415, message, kind=BAD_REQUEST, param="Content-Encoding", code="unsupported_media_type")
    most = 2 * settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(content, most)
    except zlib.error:
        raise APIError(400, "body: is not gzip", kind=BAD_REQUEST, param="body") from None
    if unpacker.unconsumed_tail:
        message = f"The body is larger than {most:,} bytes once it is unpacked."
        raise APIError(413, message, kind=BAD_REQUEST, code="request_too_large")
    if not unpacker.eof:
        raise APIError(400, "body: is not gzip", kind=BAD_REQUEST, param="body")
    return found
