"""Telling a user's open tabs that something of theirs has changed."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from django.dispatch import receiver

from apps.accounts.signals import rights_changed
from apps.serving.connection import client
from contracts import names

RIGHTS_CHANGED = "rights"
_KEEP = 64  # a tab that missed more reloads anyway


def tell_user(user_id: object, **data: Any) -> None:
    tell_users([user_id], **data)


def tell_users(user_ids: Iterable[object], **data: Any) -> None:
    """The same event to each of them, in one round trip."""
    tell_each([(user_id, data) for user_id in user_ids])


def tell_each(messages: Sequence[tuple[object, dict[str, Any]]]) -> None:
    """To each its own, in one round trip."""
    counts = Counter(user_id for user_id, _ in messages)
    with client().pipeline(transaction=False) as pipe:
        for user_id, data in messages:
            entry = {"event": "changed", "data": json.dumps(data)}
            pipe.xadd(names.user_events_key(user_id), entry, maxlen=_KEEP + counts[user_id])
        for user_id in counts:
            pipe.expire(names.user_events_key(user_id), names.STREAM_TTL)
        pipe.execute()


def tell_administrators(**data: Any) -> None:
    """Every administrator's tab that watches."""
    tell_user(names.ADMINISTRATORS, **data)


@receiver(rights_changed)
def close_sockets(sender: object, user_id: int, **kwargs: Any) -> None:
    """Every socket of this person, in whichever process."""
    tell_user(user_id, type=RIGHTS_CHANGED)
