"""Viewers look and do not send: on pages, by keys, on sockets. A deactivated person does neither."""

import asyncio
import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts import keys, services
from apps.accounts.models import APIKey, Role, User
from apps.chat.models import Conversation, Message
from apps.serving.consumers import CLOSE_RIGHTS_CHANGED, StreamConsumer
from tests.apps.accounts.conftest import browser_of
from tests.sockets import SocketClient

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def talk(viewer: User) -> Conversation:
    """What the viewer wrote when they were a member."""
    conversation = Conversation.objects.create(owner=viewer, title="Ours", updated_at=timezone.now())
    question = Message.objects.create(conversation=conversation, role=Message.Role.USER, text="who?")
    Message.objects.create(conversation=conversation, parent=question, role=Message.Role.ASSISTANT, text="me")
    return conversation


def test_viewer_looks(viewer: User, talk: Conversation) -> None:
    browser = browser_of(viewer)
    addresses = ["/chat/", f"/chat/{talk.pk}/", "/chat/compare/", "/keys/", "/profile/", "/teams/"]
    pages = [browser.get(address) for address in addresses]
    assert [page.status_code for page in pages] == [200] * len(addresses)
    assert "You may look, but not send" in pages[0].content.decode()


def test_viewer_does_not_send(viewer: User, talk: Conversation) -> None:
    answer = talk.messages.get(role=Message.Role.ASSISTANT)
    browser = browser_of(viewer)
    form = {"text": "hello", "prompt": "hello", "messages": json.dumps([{"role": "user", "content": "hello"}])}
    addresses = [
        reverse("chat:start"),
        reverse("chat:send", args=[talk.pk]),
        reverse("chat:regenerate", args=[answer.pk]),
        reverse("chat:send_temporary"),
        reverse("chat:compare"),
        reverse("keys:listing"),
    ]
    assert [browser.post(address, form).status_code for address in addresses] == [403] * len(addresses)
    assert (talk.messages.count(), APIKey.objects.count()) == (2, 0)


def test_viewer_gets_no_key(viewer: User) -> None:
    with pytest.raises(ValueError, match="scopes"):
        keys.create_api_key(owner=viewer, name="nightly")


@pytest.mark.parametrize(
    ("method", "address", "code"),
    [
        ("POST", "/v1/chat/completions", 403),
        ("POST", "/v1/completions", 403),
        ("POST", "/v1/embeddings", 403),
        ("POST", "/api/v1/classify", 403),
        ("GET", "/v1/models", 200),
    ],
)
def test_a_key_from_better_days_only_looks(method: str, address: str, code: int, member: User) -> None:
    _, secret = keys.create_api_key(owner=member, name="nightly")
    User.objects.filter(pk=member.pk).update(role=Role.VIEWER)
    body: dict[str, Any] = {
        "model": "echo",
        "input": "x",
        "prompt": "x",
        "messages": [{"role": "user", "content": "x"}],
    }
    headers = {"Authorization": f"Bearer {secret}"}
    answer = Client().generic(method, address, json.dumps(body), "application/json", headers=headers)
    assert answer.status_code == code
    if code == 403:
        assert answer.json()["error"]["code"] == "viewer"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ["role", "deactivate"])
async def test_open_sockets_close_when_rights_change(act: str, boss: User, member: User) -> None:
    tab = SocketClient(StreamConsumer, member)
    await tab.connect()
    await tab.send_json({"command": "ping"})
    assert (await tab.receive_json())["type"] == "pong"
    await asyncio.sleep(0.3)  # the hub begins to listen behind the first answer
    if act == "role":
        await sync_to_async(services.set_role)(user=member, role=Role.VIEWER, actor=boss)
    else:
        await sync_to_async(services.deactivate)(user=member, actor=boss)
    closed = await tab.receive_output(5)
    assert (closed["type"], closed["code"]) == ("websocket.close", CLOSE_RIGHTS_CHANGED)
    await tab.disconnect()
