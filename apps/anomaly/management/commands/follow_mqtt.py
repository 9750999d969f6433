import signal
import time
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import close_old_connections

from apps.accounts.keys import authenticate_key
from apps.accounts.models import APIKey, Scope
from apps.accounts.permissions import may_send
from apps.anomaly.mqtt import Collector

log = structlog.get_logger()
_TOGETHER = 0.25  # seconds that messages are collected for
_CHECK = 10.0  # seconds between two looks at whether the key still holds
_IN_FLIGHT = 1000  # messages that the broker sends before one is acknowledged


class Command(BaseCommand):
    help = "Store readings from the MQTT broker at MQTT_URL, topics MQTT_TOPICS, in the name of the API key MQTT_KEY."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.MQTT_URL:
            raise CommandError("MQTT_URL is not set: mqtt://user:password@host:1883")
        self._stopped = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        collector = Collector(self._key().owner, makes_sensors=True)
        client = self._client(collector)
        checked = time.monotonic()
        while not self._stopped:
            self._pump(client)
            close_old_connections()
            for mid, qos in collector.flush():  # type: ignore[misc]
                client.ack(mid, qos)
            if time.monotonic() - checked > _CHECK:
                collector.user, checked = self._key().owner, time.monotonic()
        client.disconnect()

    def _key(self) -> APIKey:
        key = authenticate_key(settings.MQTT_KEY)
        if key is None or Scope.ANOMALY not in key.scopes or not may_send(key.owner):
            raise CommandError("MQTT_KEY is no active key with the scope 'anomaly'.")
        return key

    def _client(self, collector: Collector) -> Any:
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        address = urlsplit(settings.MQTT_URL)
        # One session for good: what comes while nobody listens is kept for us, if the broker keeps it.
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="deepseek-web", clean_session=False, manual_ack=True,
            reconnect_on_failure=True,
        )  # fmt: skip
        client.max_inflight_messages_set(_IN_FLIGHT)
        if address.username:
            client.username_pw_set(unquote(address.username), unquote(address.password or ""))
        if address.scheme == "mqtts":
            client.tls_set()
        client.on_connect = lambda client, *_: client.subscribe(settings.MQTT_TOPICS, qos=1)
        client.on_message = lambda _client, _data, message: collector.take(
            message.topic, message.payload, (message.mid, message.qos)
        )
        self._connect(client, address.hostname or "localhost", address.port or (8883 if client._ssl else 1883))
        return client

    def _connect(self, client: Any, host: str, port: int) -> None:
        try:
            client.connect(host, port, keepalive=30)
        except OSError as error:
            raise CommandError(f"The broker {host}:{port} does not answer: {error}") from error

    def _pump(self, client: Any) -> None:
        """Hear what comes for a moment; connect again when the connection is gone."""
        from paho.mqtt.enums import MQTTErrorCode

        ends = time.monotonic() + _TOGETHER
        while time.monotonic() < ends and not self._stopped:
            if client.loop(timeout=0.05) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                log.warning("connection to the broker lost, trying again")
                time.sleep(1)
                try:
                    client.reconnect()
                except OSError as error:
                    log.warning("broker does not answer", error=str(error))

    def _stop(self, *_: Any) -> None:
        self._stopped = True
