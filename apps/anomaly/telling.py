"""What is said of an asset as it happens: to who looks at it, and to the task that has detectors score.

Without Redis nothing is said: readings are stored all the same, and the sweep finds what was not scored.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import redis
import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from apps.anomaly.models import Asset
from apps.anomaly.permissions import viewers_of
from apps.anomaly.points import Points
from apps.serving.connection import client
from apps.serving.events import tell_each, tell_user, tell_users
from contracts import names

log = structlog.get_logger()

_LIVE = 50  # readings of a sensor that are passed on
_ASKED = 2000  # milliseconds after which a request to score is taken for lost


def send(task: str, *arguments: object) -> None:
    """A message to worker-app. What is lost here the sweeps find."""
    try:
        current_app.send_task(task, args=list(arguments), queue=names.APP_QUEUE, ignore_result=True)
    except OperationalError as error:
        log.warning("task not sent", task=task, error=str(error))


def tell(asset_id: UUID, **data: Any) -> None:
    """Whoever looks at the asset."""
    try:
        tell_user(names.asset_listener(asset_id), **data)
    except redis.RedisError as error:
        log.warning("nobody told", asset=str(asset_id), error=str(error))


def tell_all(messages: Sequence[tuple[UUID, dict[str, Any]]]) -> None:
    """Whoever looks at these assets, in one round trip."""
    try:
        tell_each([(names.asset_listener(asset_id), data) for asset_id, data in messages])
    except redis.RedisError as error:
        log.warning("nobody told", assets=len(messages), error=str(error))


def tell_viewers(asset: Asset, **data: Any) -> None:
    """Every tab of everybody who sees the asset."""
    try:
        tell_users(list(viewers_of(asset).values_list("pk", flat=True)), asset=str(asset.pk), **data)
    except redis.RedisError as error:
        log.warning("nobody told", asset=str(asset.pk), error=str(error))


def readings_came(asset_id: UUID, new: Points) -> None:
    """What is new was committed."""
    tell(asset_id, type="values", values=_by_series(new))
    ask_to_score(asset_id)


def ask_to_score(asset_id: UUID) -> None:
    """One task for all that comes until it begins."""
    try:
        client().sadd(names.FRESH_ASSETS_KEY, str(asset_id))
        if client().set(names.SCORING_KEY, "1", nx=True, px=_ASKED):
            send(names.SCORE_READINGS_TASK)
    except redis.RedisError as error:
        log.warning("not sent to be scored", asset=str(asset_id), error=str(error))


def fresh_assets() -> list[str]:
    """Those with readings that nobody has sent to be scored; they are the caller's now."""
    client().delete(names.SCORING_KEY)
    with client().pipeline() as pipe:
        pipe.smembers(names.FRESH_ASSETS_KEY)
        pipe.delete(names.FRESH_ASSETS_KEY)
        found, _ = pipe.execute()
    return sorted(found)


def _by_series(new: Points) -> dict[str, list[list[float]]]:
    """The newest few of each, as [[time, value]]."""
    found = {}
    ends = np.r_[np.flatnonzero(np.diff(new.series)) + 1, len(new)]
    begins = np.r_[0, ends[:-1]]
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        begin = max(begin, end - _LIVE)
        pairs = zip((new.times[begin:end] / 1e6).tolist(), new.values[begin:end].tolist(), strict=True)
        found[str(new.series[end - 1])] = [list(pair) for pair in pairs]
    return found
