"""Readings that sensors publish to an MQTT broker: what `manage.py follow_mqtt` does with a message.

The topic ends with the id of the asset and the key of the sensor. The payload is a number (taken for now), an object
`{"time", "value"}`, or a list of these. Messages are collected for a moment, stored together, and then acknowledged: a
broker that keeps a session sends what was not acknowledged again, and readings are stored once.
"""

import json
import time
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError

from apps.accounts.models import User
from apps.anomaly import ingest, parsing
from apps.anomaly.models import Asset
from apps.anomaly.permissions import worked_assets
from apps.quotas.words import NOT_NOW

log = structlog.get_logger()


@dataclass(slots=True)
class Collector:
    """Readings of assets that `user` works with. `token` of a message is what acknowledges it."""

    user: User
    makes_sensors: bool = False
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    tokens: list[Hashable] = field(default_factory=list)
    rejected: int = 0

    def take(self, topic: str, payload: bytes, token: Hashable) -> None:
        """A message that says nothing that can be stored is acknowledged with the others: it never will."""
        self.tokens.append(token)
        try:
            asset, key = topic.split("/")[-2:]
            self.rows[str(UUID(asset))].extend(_rows(key, payload))
        except (ValueError, RecursionError) as error:
            self.rejected += 1
            log.warning("message not understood", topic=topic[:200], error=str(error)[:200])

    def flush(self) -> list[Hashable]:
        """Store what was collected; the tokens that may be acknowledged. None while the database is away: then all of
        it waits for the next call."""
        try:
            found = worked_assets(self.user).select_related("owner", "key").filter(pk__in=list(self.rows))
            assets = {str(one.pk): one for one in found} if self.rows else {}
        except (OperationalError, InterfaceError) as error:
            log.warning("no database", error=str(error))
            return []
        for asset_id in list(self.rows):
            if not self._store(assets.get(asset_id), asset_id):
                return []
        done, self.tokens = self.tokens, []
        return done

    def _store(self, asset: Asset | None, asset_id: str) -> bool:
        rows = self.rows[asset_id]
        if asset is None:
            log.warning("readings of no asset that this key works with", asset=asset_id, readings=len(rows))
            self.rejected += len(rows)
        else:
            try:
                for begin in range(0, len(rows), parsing.MOST):
                    found = ingest.take(
                        asset=asset, readings=rows[begin : begin + parsing.MOST], makes_sensors=self.makes_sensors
                    )
                    self.rejected += found.rejected
            except NOT_NOW as error:
                log.warning("readings not taken", asset=asset_id, readings=len(rows), reason=str(error))
                self.rejected += len(rows)
            except (OperationalError, InterfaceError) as error:
                log.warning("no database", error=str(error))
                return False
        del self.rows[asset_id]
        return True


def _rows(key: str, payload: bytes) -> list[dict[str, Any]]:
    """Raises ValueError."""
    found = json.loads(payload)
    rows = []
    for one in found if isinstance(found, list) else [found]:
        value, at = (one.get("value"), one.get("time", time.time())) if isinstance(one, dict) else (one, time.time())
        rows.append({"sensor": key, "time": at, "value": value})
    return rows
