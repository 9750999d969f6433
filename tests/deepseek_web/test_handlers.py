"""The short way into the APIs refuses and protects as the long one does."""

import json
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from deepseek_web.asgi import application

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


async def ask(
    path: str, host: bytes = b"localhost", scheme: str = "http", method: str = "GET"
) -> tuple[int, dict[bytes, bytes], bytes]:
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "scheme": scheme, "path": path, "query_string": b"",
        "headers": [(b"host", host)], "server": ("localhost", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    communicator = ApplicationCommunicator(application, scope)
    await communicator.send_input({"type": "http.request", "body": b"", "more_body": False})
    start: dict[str, Any] = await communicator.receive_output(10)
    body: dict[str, Any] = await communicator.receive_output(10)
    return start["status"], {name.lower(): value for name, value in start["headers"]}, body["body"]


@pytest.mark.parametrize("path", ["/v1/models", "/api/v1/requests/none"])
async def test_without_a_key_401_with_length_and_safety(path: str) -> None:
    status, headers, body = await ask(path)
    assert status == 401
    assert headers[b"content-length"] == str(len(body)).encode()
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"set-cookie" not in headers


async def test_unknown_host_is_refused() -> None:
    status, _, _ = await ask("/v1/models", host=b"evil.example")
    assert status == 400


async def test_plain_http_is_sent_to_https_where_that_is_wanted(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    status, headers, _ = await ask("/v1/models")
    assert (status, headers[b"location"]) == (301, b"https://localhost/v1/models")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "unknown_url"),
        ("POST", "/api/v1/", 404, "unknown_url"),
        ("GET", "/v1/chat/completions", 405, "method_not_supported"),
        ("DELETE", "/v1/models", 405, "method_not_supported"),
    ],
)
async def test_what_no_view_has_seen_is_refused_in_the_form_of_the_apis(
    method: str, path: str, status: int, code: str
) -> None:
    got, headers, body = await ask(path, method=method)
    error = json.loads(body)["error"]
    assert (got, error["type"], error["param"], error["code"]) == (status, "invalid_request_error", None, code)
    assert (b"allow" in headers) == (status == 405)
