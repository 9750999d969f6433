"""Messages of a broker: stored, then acknowledged; what cannot be is acknowledged as well."""

from typing import Any

import pytest
from django.db import OperationalError

from apps.accounts.models import User
from apps.anomaly import ingest, mqtt
from apps.anomaly.models import Asset, Reading, Sensor

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_numbers_rows_and_lists_are_stored_and_then_acknowledged(asset: Asset, sensor: Sensor, member: User) -> None:
    collector = mqtt.Collector(member)
    topic = f"plant/readings/{asset.pk}/bearing"
    collector.take(topic, b"21.5", 1)
    collector.take(topic, b'{"time": 1772359200, "value": 1}', 2)
    collector.take(topic, b'[{"time": "2026-03-01T10:00:01Z", "value": 2}, {"time": 1, "value": null}]', 3)
    assert (Reading.objects.count(), collector.flush(), collector.flush()) == (0, [1, 2, 3], [])
    assert (Reading.objects.count(), collector.rejected) == (3, 1)


def test_what_says_nothing_is_acknowledged(asset: Asset, sensor: Sensor, stranger: User) -> None:
    collector = mqtt.Collector(stranger)
    collector.take("hello", b"1", 1)
    collector.take(f"a/{asset.pk}/bearing", b"{", 2)
    collector.take(f"a/{asset.pk}/bearing", b"1", 3)  # an asset that is not this key's
    assert (collector.flush(), collector.rejected, Reading.objects.count()) == ([1, 2, 3], 3, 0)


def test_new_keys_make_sensors_when_that_is_wanted(asset: Asset, owner: User) -> None:
    collector = mqtt.Collector(owner, makes_sensors=True)
    collector.take(f"a/{asset.pk}/speed", b"1", 1)
    collector.flush()
    assert asset.sensors.get().key == "speed"


def test_nothing_is_acknowledged_while_the_database_is_away(
    asset: Asset, sensor: Sensor, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = mqtt.Collector(owner)
    collector.take(f"a/{asset.pk}/bearing", b'{"time": 1, "value": 1}', 1)

    def away(**_: Any) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "take", away)
        assert collector.flush() == []
    collector.take(f"a/{asset.pk}/bearing", b'{"time": 2, "value": 1}', 2)
    assert (collector.flush(), Reading.objects.count()) == ([1, 2], 2)
