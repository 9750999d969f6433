"""Telling a user's open tabs that something of theirs has changed."""

import json
from typing import Any

from apps.serving.connection import client
from contracts import names

_KEEP = 64  # a tab that missed more reloads anyway


def tell_user(user_id: object, **data: Any) -> None:
    key = names.user_events_key(user_id)
    with client().pipeline() as pipe:
        pipe.xadd(key, {"event": "changed", "data": json.dumps(data)}, maxlen=_KEEP)
        pipe.expire(key, names.STREAM_TTL)
        pipe.execute()


def tell_administrators(**data: Any) -> None:
    """Every administrator's tab that watches."""
    tell_user(names.ADMINISTRATORS, **data)
