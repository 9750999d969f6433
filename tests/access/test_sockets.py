"""Every command of the socket, four people: the rows SOCKET of table.txt."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import AnonymousUser

from apps.accounts.models import Role, User
from apps.anomaly.consumers import AssetConsumer
from apps.serving import consumers, requests
from apps.serving.events import tell_administrators
from deepseek_web.urls import websocket_urlpatterns
from tests.access.table import PEOPLE, TABLE, read
from tests.apps.serving.test_recover import make_request
from tests.fakes import FakeWorker
from tests.sockets import SocketClient

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

ROWS = {row.route: row for row in read(TABLE.read_text()) if row.method == "SOCKET"}
COMMANDS = sorted(
    name.removeprefix("command_") for name in dir(consumers.StreamConsumer) if name.startswith("command_")
)


def test_the_table_has_every_command_of_every_socket() -> None:
    """But for the socket of an asset, whose only command is ping: tests/apps/anomaly/test_consumers.py."""
    both = [consumers.StreamConsumer, AssetConsumer]
    assert [pattern.callback.consumer_class for pattern in websocket_urlpatterns] == both
    assert sorted(ROWS) == COMMANDS == sorted(consumers._COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
async def test_answers(command: str, worker: FakeWorker, owner: User, stranger: User) -> None:
    """The stream is the member's and has ended; the administrators are told something."""
    request = make_request("one two")
    await sync_to_async(requests.save)(request, owner=str(owner.pk))
    worker.serve(request)
    await sync_to_async(worker.finish)()
    people = {
        "anonymous": AnonymousUser(),
        "stranger": stranger,
        "member": owner,
        "admin": User(pk=0, email="admin@example.com", role=Role.ADMIN),
    }
    heard = [await _heard(people[name], command, request.request_id) for name in PEOPLE]
    assert tuple(heard) == ROWS[command].answers


async def _heard(user: Any, command: str, request_id: str) -> str:
    """What the first message after the command is about."""
    tab = SocketClient(consumers.StreamConsumer, user)
    await tab.connect()
    try:
        if not user.is_authenticated:
            closed = await tab.receive_output(5)
            return "closed" if closed["code"] == consumers.CLOSE_SIGNED_OUT else str(closed)
        await tab.send_json({"command": command, "request_id": request_id, "after": 0})
        return await _first(tab)
    finally:
        await tab.disconnect()


async def _first(tab: SocketClient) -> str:
    # A listener hears what is said from then on: it is said until the time is over.
    for _ in range(5):
        await sync_to_async(tell_administrators)(type="console", what="deployment")
        if not await tab.receive_nothing(0.1):
            message = await tab.receive_json()
            return message["code"] if message["type"] == "error" else message["type"]
        await asyncio.sleep(0)
    return "silent"


@pytest.mark.parametrize("address", ["/ws/streams/", "/ws/anomaly/11111111-1111-4111-8111-111111111111/"])
@pytest.mark.parametrize(
    ("origin", "answer"),
    [
        (b"http://localhost", "websocket.accept"),
        (b"http://evil.example", "websocket.close"),
        (b"http://localhost.evil.example", "websocket.close"),
        (b"null", "websocket.close"),
        (None, "websocket.close"),
    ],
)
async def test_pages_of_other_sites_open_no_socket(address: str, origin: bytes | None, answer: str) -> None:
    from deepseek_web.asgi import application

    headers = [(b"host", b"localhost"), *([(b"origin", origin)] if origin else [])]
    scope = {"type": "websocket", "path": address, "headers": headers, "query_string": b"", "subprotocols": []}
    tab = ApplicationCommunicator(application, scope)
    await tab.send_input({"type": "websocket.connect"})
    assert (await tab.receive_output(5))["type"] == answer
    await tab.send_input({"type": "websocket.disconnect", "code": 1000})
    await tab.wait(5)
