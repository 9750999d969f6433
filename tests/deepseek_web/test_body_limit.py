"""Nobody fills the disk: bodies are cut off before Django stores them."""

import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from apps.accounts.keys import create_api_key
from apps.accounts.models import User
from deepseek_web.body_limit import BodyLimit

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

UPLOAD = "/console/models/import/"
LIMIT = 1000


@pytest.fixture(autouse=True)
def small(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = LIMIT


async def _read_all(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An application that says how much it got."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def post(path: str, size: int, *, says: bool = True, cookie: str = "", key: str = "") -> tuple[int, str]:
    headers = [(b"cookie", cookie.encode()), (b"authorization", f"Bearer {key}".encode())] + (
        [(b"content-length", str(size).encode())] if says else []
    )
    parts = [{"type": "http.request", "body": b"x" * 100, "more_body": True}] * (size // 100)
    parts.append({"type": "http.request", "body": b"x" * (size % 100), "more_body": False})
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return parts.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await BodyLimit(_read_all)({"type": "http", "path": path, "headers": headers}, receive, send)
    return sent[0]["status"], sent[1]["body"].decode()


def cookie_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("path", ["/accounts/login/", "/chat/send/", UPLOAD])
async def test_a_body_is_taken_up_to_the_limit(path: str, says: bool) -> None:
    assert await post(path, LIMIT, says=says) == (200, str(LIMIT))
    assert (await post(path, LIMIT + 1, says=says))[0] == 413


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/classify"])
async def test_an_api_says_it_in_its_own_form(path: str) -> None:
    status, body = await post(path, LIMIT + 1)
    assert status == 413
    assert json.loads(body) == {
        "error": {
            "message": "The request is larger than the 1,000 bytes that are taken here.",
            "type": "invalid_request_error",
            "param": None,
            "code": "request_too_large",
        }
    }


async def test_only_an_administrator_uploads_a_model(owner: User) -> None:
    member = await sync_to_async(cookie_of)(owner)
    admin = await sync_to_async(lambda: cookie_of(User.objects.create_superuser("root@example.com")))()
    answers = [(await post(UPLOAD, 5 * LIMIT, cookie=cookie))[0] for cookie in ("", "sessionid=x", member, admin)]
    assert answers == [413, 413, 413, 200]
    assert (await post("/chat/send/", 5 * LIMIT, cookie=admin))[0] == 413


async def test_only_an_administrators_key_uploads_a_model(owner: User) -> None:
    def keys() -> list[str]:
        admin = User.objects.create_superuser("root@example.com")
        return [
            create_api_key(owner=owner, name="k")[1],
            create_api_key(owner=admin, name="k", scopes=["chat"])[1],
            create_api_key(owner=admin, name="k")[1],
        ]

    path = "/api/v1/imports/upload"
    answers = [(await post(path, 5 * LIMIT, key=key))[0] for key in ["", "x", *await sync_to_async(keys)()]]
    assert answers == [413, 413, 413, 413, 200]


async def test_a_key_for_it_sends_a_larger_file_of_texts(owner: User) -> None:
    def keys() -> list[str]:
        return [create_api_key(owner=owner, name="k", scopes=[scope])[1] for scope in ("chat", "classify")]

    path = "/api/v1/classify/files"
    answers = [(await post(path, 5 * LIMIT, key=key))[0] for key in ["", *await sync_to_async(keys)()]]
    assert answers == [413, 413, 200]
