"""The socket of an asset: for who sees it, with what comes of it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser

from apps.accounts.models import User
from apps.anomaly import consumers, telling
from apps.anomaly.models import Asset, Sensor
from apps.serving.events import RIGHTS_CHANGED, tell_user
from tests.sockets import SocketClient

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def socket(asset_id: object, user: Any) -> SocketClient:
    return SocketClient(consumers.AssetConsumer, user, url_route={"kwargs": {"asset_id": asset_id}})


async def first(asset_id: object, user: Any) -> str:
    """What the first message is about, or the code that the socket is closed with."""
    tab = socket(asset_id, user)
    await tab.connect()
    message = await tab.receive_output(5)
    await tab.disconnect()
    return str(message["code"]) if message["type"] == "websocket.close" else json.loads(message["text"])["type"]


async def test_it_is_for_who_sees_the_asset(
    asset: Asset, owner: User, member: User, viewer: User, stranger: User
) -> None:
    people = [owner, member, viewer, stranger, AnonymousUser()]
    assert [await first(asset.pk, user) for user in people] == ["live", "live", "live", "4404", "4401"]
    assert await first("11111111-1111-4111-8111-111111111111", owner) == "4404"


async def test_what_comes_is_passed_on(asset: Asset, sensor: Sensor, viewer: User, put: Callable[..., Any]) -> None:
    from apps.anomaly import storing
    from tests.apps.anomaly.conftest import T0, points

    tab = socket(asset.pk, viewer)
    await tab.connect()
    live = await tab.receive_json()
    assert live["sensors"] == {str(sensor.pk): {"at": None, "value": None, "is_stopped": False}}
    await tab.send_json({"command": "ping"})
    assert await tab.receive_json() == {"type": "pong"}
    await asyncio.sleep(0.3)  # it listens by then
    await sync_to_async(storing.store_readings)(asset=asset, points=points(sensor, [1, 2], [5.0, 6.0]))
    message = await tab.receive_json()
    assert message == {"type": "values", "values": {str(sensor.pk): [[T0 + 1, 5.0], [T0 + 2, 6.0]]}}
    await sync_to_async(telling.tell)(asset.pk, type="detector", detector=7)
    assert await tab.receive_json() == {"type": "detector", "detector": 7}
    await tab.disconnect()


async def _closed_with(tab: SocketClient) -> int:
    while True:
        message = await tab.receive_output(5)
        if message["type"] == "websocket.close":
            return int(message["code"])


async def test_it_is_closed_when_rights_change_or_what_is_said_is_no_command(asset: Asset, owner: User) -> None:
    tab = socket(asset.pk, owner)
    await tab.connect()
    await tab.receive_json()
    while await tab.receive_nothing(0.1):  # a listener hears what is said from then on
        await sync_to_async(tell_user)(owner.pk, type=RIGHTS_CHANGED)
    assert await _closed_with(tab) == 4403
    await tab.disconnect()
    for said in ("{", '{"command": "dance"}', "[]"):
        tab = socket(asset.pk, owner)
        await tab.connect()
        await tab.send_text(said)
        assert await _closed_with(tab) == consumers.CLOSE_BAD_COMMAND
        await tab.disconnect()


async def test_who_has_left_the_team_is_let_go(asset: Asset, member: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "_LOOK_AGAIN", 0.05)
    tab = socket(asset.pk, member)
    await tab.connect()
    await tab.receive_json()
    await sync_to_async(asset.team.memberships.filter(user=member).delete)()
    assert await _closed_with(tab) == consumers.CLOSE_NOT_FOUND
    await tab.disconnect()
