"""New readings of detectors on their way to the workers, and what comes back.

A detector has one request under way. What it is about is stored with the claim: `scored_to` moves on with its scores,
in one transaction, so each reading is scored once, and again when one before it was late (late.py); a claim whose
request is lost is given up. What the detector remembers lies in Redis with the version and the reading it is of: where
that is not the one at hand, it is made anew from the readings before.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection
from django.db.models import F, Q
from django.utils import timezone

from apps.accounts.models import APIKey, User
from apps.anomaly import asking, late, scored, telling
from apps.anomaly.models import Detector
from apps.quotas import services as quotas
from apps.quotas.words import NOT_NOW, why
from apps.serving import requests
from apps.serving import services as serving
from contracts.anomaly import MOST_ITEMS, TASK, ScoreInputs, ScoreItem

log = structlog.get_logger()

State = Detector.State
_WAIT = 0.4  # seconds that the task waits for an answer: settling comes once a second
_LOST_AFTER = timedelta(seconds=30)


def send_fresh() -> None:
    """Of the assets that something has come of."""
    fresh = telling.fresh_assets()
    if fresh:
        send(Detector.objects.filter(asset__in=fresh))


def send(detectors: Any) -> None:
    """Of those that watch and have nothing under way; what ends soon is taken in at once."""
    ready = detectors.filter(state=State.WATCHING, request_id="").exclude(fit=None)
    found = list(ready.select_related("asset__owner", "asset__key").defer("calibration").order_by("pk"))
    by_payer: dict[tuple[Any, Any], list[Detector]] = defaultdict(list)
    for detector in found:
        by_payer[detector.asset.key_id, detector.asset.owner_id].append(detector)
    sent = []
    for mine in by_payer.values():
        for begin in range(0, len(mine), MOST_ITEMS):
            asset = mine[begin].asset
            sent += _send(mine[begin : begin + MOST_ITEMS], asset.key or asset.owner)
    _take_in_soon(sent)


def _send(detectors: list[Detector], who: User | APIKey) -> list[str]:
    """The request, if there was anything to ask."""
    request_id = serving.new_request_id()
    mine = Detector.objects.filter(request_id=request_id)
    try:
        target = serving.route("", task=TASK)
        items = _claim(detectors, request_id)
        if not items:
            return []
        request = serving.build_request(
            target=target, inputs=ScoreInputs(items).to_dict(), tenant=str(detectors[0].asset.owner_id),
            request_id=request_id, is_streamed=False,
        )  # fmt: skip
        quotas.submit(request=request, who=who, target=target)
    except NOT_NOW as error:
        mine.update(request_id="")
        _say(detectors, why(error))
        return []
    return [request_id]


def _claim(detectors: list[Detector], request_id: str) -> list[ScoreItem]:
    """What to ask of those that nobody else has claimed. First the claim, then the readings: so whoever stores one that
    is not among them finds the request under way, and knows that it is late."""
    free = Detector.objects.filter(pk__in=[one.pk for one in detectors], state=State.WATCHING, request_id="")
    if not free.exclude(fit=None).update(request_id=request_id, sent_at=timezone.now(), sent_to=None):
        return []
    mine = Detector.objects.filter(request_id=request_id)
    # Without what is large in them.
    claimed = mine.annotate(interval=F("fit__report__interval"), context=F("fit__report__context"))
    claimed = claimed.select_related("fit").defer("calibration", "fit__report").order_by("pk")
    asked, items = [], []
    for detector, item, sent_to in asking.items_of(list(claimed)):
        asked.append((detector.pk, len(items), sent_to))
        items.append(item)
    mine.exclude(pk__in=[pk for pk, _, _ in asked]).update(request_id="")
    _place(asked, request_id)
    return items


def _place(asked: Sequence[tuple[int, int, datetime]], request_id: str) -> None:
    """Where each detector stands in the request, and up to which reading."""
    ids, places, moments = (list(column) for column in zip(*asked, strict=True)) if asked else ([], [], [])
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE anomaly_detector d SET place = n.place, sent_to = n.sent_to "
            "FROM unnest(%s::int[], %s::smallint[], %s::timestamptz[]) n (id, place, sent_to) "
            "WHERE d.id = n.id AND d.request_id = %s",
            [ids, places, moments, request_id],
        )


def _take_in_soon(request_ids: list[str]) -> None:
    """Answers that come within a moment are not left to the settling. Either way they are taken in once."""
    ends = time.monotonic() + _WAIT
    waiting = list(request_ids)
    while waiting and time.monotonic() < ends:
        time.sleep(0.01)
        for request_id in list(waiting):
            transcript = requests.transcript(request_id)
            if transcript.is_finished:
                waiting.remove(request_id)
                scored.take_in(request_id=request_id, transcript=transcript)


def _say(detectors: Iterable[Detector], problem: str) -> None:
    changed = [one for one in detectors if one.problem != problem[:400]]
    Detector.objects.filter(pk__in=[one.pk for one in changed]).update(problem=problem[:400])


def sweep() -> None:
    """Go on with every detector that should be going: after a refusal, a lost message or a lost request."""
    old = Detector.objects.exclude(request_id="").filter(sent_at__lt=timezone.now() - _LOST_AFTER)
    request_ids = list(old.order_by().values_list("request_id", flat=True).distinct())
    for request_id, is_known in zip(request_ids, requests.exists(request_ids), strict=True):
        if not is_known:
            old.filter(request_id=request_id).update(request_id="")
        elif (transcript := requests.transcript(request_id)).is_finished:
            scored.take_in(request_id=request_id, transcript=transcript)
    late.go_back()
    behind = Q(sensors__last_at__gt=F("scored_to")) | Q(scored_to=None, sensors__last_at__isnull=False)
    waiting = Detector.objects.filter(behind, state=State.WATCHING, request_id="").exclude(fit=None)
    if ids := list(waiting.values_list("pk", flat=True).distinct()):
        send(Detector.objects.filter(pk__in=ids))
