"""The subscriber at a real broker: kept sessions, acknowledgements, a broker that goes and comes back."""

import getpass
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError
from paho.mqtt import publish

from apps.accounts.keys import create_api_key
from apps.accounts.models import Scope, User
from apps.anomaly import ingest, mqtt
from apps.anomaly.management.commands import follow_mqtt
from apps.anomaly.models import Asset, Reading, Sensor

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/sbin")
pytestmark = [
    pytest.mark.integration, pytest.mark.django_db,
    pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed"),
]  # fmt: skip


@dataclass
class Broker:
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser {getpass.getuser()}\n"
            f"persistence true\npersistence_location {self.folder}/\n"
        )
        self.process = subprocess.Popen([str(MOSQUITTO), "-c", str(config)], stderr=subprocess.DEVNULL)
        ends = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < ends, "the broker does not start"
                time.sleep(0.05)

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(20)

    def send(self, topic: str, *payloads: str) -> None:
        messages: Any = [(topic, payload, 1, False) for payload in payloads]
        publish.multiple(messages, hostname="127.0.0.1", port=self.port)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = Broker(tmp_path, port)
    found.start()
    yield found
    found.stop()


class Until(follow_mqtt.Command):
    """Ends when it has subscribed and there are `want` readings, or nothing more is to be waited for."""

    want, seconds, subscribed = 0, 30.0, False

    def _pump(self, client: Any) -> None:
        client.on_subscribe = lambda *_: setattr(self, "subscribed", True)
        super()._pump(client)
        self.ends = getattr(self, "ends", time.monotonic() + self.seconds)
        is_done = self.subscribed and Reading.objects.count() >= self.want
        self._stopped = is_done or time.monotonic() > self.ends


def follow(want: int = 0, seconds: float = 30.0) -> None:
    command = Until()
    command.want, command.seconds = want, seconds
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        command.handle()
    finally:
        for one, what in before.items():
            signal.signal(one, what)


@pytest.fixture
def topic(
    asset: Asset, sensor: Sensor, owner: User, broker: Broker, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Of the sensor; the session of the subscriber is there."""
    _, secret = create_api_key(owner=owner, name="broker", scopes=[Scope.ANOMALY])
    settings.MQTT_URL, settings.MQTT_KEY = f"mqtt://127.0.0.1:{broker.port}", secret
    settings.MQTT_TOPICS = "plant/#"
    monkeypatch.setattr(follow_mqtt, "close_old_connections", lambda: None)  # the test's own has its transaction
    follow()
    return f"plant/{asset.pk}/{sensor.key}"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Payloads that came, each time that they came."""
    found: list[bytes] = []
    take = mqtt.Collector.take

    def and_listen(self: mqtt.Collector, topic: str, payload: bytes, token: Any) -> None:
        found.append(payload)
        take(self, topic, payload, token)

    monkeypatch.setattr(mqtt.Collector, "take", and_listen)
    return found


def test_what_came_while_nobody_listened_is_stored_and_acknowledged(
    topic: str, broker: Broker, heard: list[bytes]
) -> None:
    broker.send(topic, '{"time": 1772359200, "value": 1}', '[{"time": 1772359201, "value": 2}]', "no number")
    follow(want=2)
    assert sorted(Reading.objects.values_list("value", flat=True)) == [1.0, 2.0]
    assert len(heard) == 3
    follow(want=3, seconds=0.5)
    assert len(heard) == 3  # nothing comes again


def test_what_was_not_stored_comes_again(
    topic: str, broker: Broker, heard: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> None:
        raise OperationalError("gone")

    broker.send(topic, '{"time": 1772359200, "value": 1}')
    with monkeypatch.context() as patch:
        patch.setattr(ingest, "take", away)
        follow(want=1, seconds=1)
    assert (len(heard), Reading.objects.count()) == (1, 0)
    follow(want=1)
    assert (len(heard), Reading.objects.count()) == (2, 1)


def test_a_broker_that_comes_back_is_found_again(topic: str, broker: Broker) -> None:
    def restart() -> None:
        time.sleep(0.5)
        broker.stop()
        broker.start()
        broker.send(topic, '{"time": 1772359200, "value": 1}')

    thread = Thread(target=restart)
    thread.start()
    follow(want=1, seconds=60)
    thread.join()
    assert Reading.objects.count() == 1


def test_a_broker_that_is_not_there_is_said(topic: str, broker: Broker) -> None:
    broker.stop()
    with pytest.raises(follow_mqtt.CommandError, match="does not answer"):
        follow()
    broker.start()
