"""How pictures and texts become vectors: send what is pending, take in what comes back, go on after a loss.

A few requests of an index are with the workers at a time. Every change of a row is conditional, so that two processes
which do the same do it once.
"""

import base64
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from apps.files import storing
from apps.quotas import services as quotas
from apps.quotas.words import NOT_NOW, why
from apps.search import sending, vectors
from apps.search.indexes import TASK, swap_if_whole
from apps.search.models import CatalogueText, Index, Pending, Picture, TextVector, UploadItem
from apps.serving import requests
from apps.serving import services as serving
from apps.serving.events import tell_user
from apps.serving.models import Revision
from apps.serving.requests import Transcript
from apps.serving.services import Target
from contracts.messages import ErrorType

BATCH = 32
IN_FLIGHT = 4
_ATTEMPTS = 3
_LOST_AFTER = timedelta(minutes=1)


class WrongVersion(serving.NoWorker):
    """The deployment serves another version of the model than the index was made with: vectors would not compare."""


# -- sending ---------------------------------------------------------------------------------------


def feed(*, index: Index) -> None:
    """Send until as much is with the workers as may be, and put the index to work when nothing is left. What cannot be
    sent now is sent by `sweep`."""
    while _in_flight(index) < IN_FLIGHT:
        if not _send_next(index):
            break
    if index.state == Index.State.BUILDING:
        swap_if_whole(index)


def _in_flight(index: Index) -> int:
    sent = index.pending.filter(state=Pending.State.SENT)
    return sent.order_by().values("request_id").distinct().count()


def _send_next(index: Index) -> bool:
    """False when nothing waits, or when it cannot be sent now; the index then says why."""
    try:
        target = target_of(index)
        with transaction.atomic():
            waiting = index.pending.filter(state=Pending.State.WAITING).select_for_update(skip_locked=True)
            first = waiting.first()
            if first is None:
                return False
            kind = "picture" if first.picture_id else "text"
            rows = list(waiting.filter(**{f"{kind}__isnull": False}).select_related(None)[:BATCH])
            inputs, rows = _inputs(rows, kind)
            if not rows:
                return True
            request = serving.build_request(
                target=target, inputs=inputs, tenant=str(index.collection.owner_id), is_streamed=False
            )
            ids = [row.pk for row in rows]
            Pending.objects.filter(pk__in=ids).update(
                state=Pending.State.SENT, request_id=request.request_id, sent_at=timezone.now(),
                place=RawSQL("array_position(%s::bigint[], id) - 1", [ids]),
            )  # fmt: skip
            quotas.submit(request=request, who=index.collection.key or index.collection.owner, target=target)
    except NOT_NOW as error:
        _say(index, why(error))
        return False
    _say(index, "")
    return True


def _inputs(rows: list[Pending], kind: str) -> tuple[dict[str, Any], list[Pending]]:
    """What the rows are, and those of them that can be read; a thumbnail that is not there fails its row."""
    if kind == "text":
        texts = CatalogueText.objects.in_bulk([row.text_id for row in rows])
        return {"texts": [texts[row.text_id].text for row in rows], "truncate": True}, rows  # type: ignore[index]
    thumbnails = dict(Picture.objects.filter(pk__in=[row.picture_id for row in rows]).values_list("pk", "thumbnail"))
    images, readable = [], []
    for row in rows:
        try:
            images.append(encoded(storing.read(thumbnails[row.picture_id])))  # type: ignore[index]
            readable.append(row)
        except OSError:
            _fail([row], "The file of the picture is gone from the storage.")
    return {"images": images}, readable


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def target_of(index: Index) -> Target:
    """Where requests for the index go: the revision with the version that the index was made with, whatever share of
    the traffic it has. Raises WrongVersion, and what `route` raises."""
    target = serving.route(index.deployment, task=TASK)
    revisions = Revision.objects.filter(deployment__name=index.deployment, version_id=index.version_id, is_wanted=True)
    keys = {revision.key: revision for revision in revisions.select_related("deployment")}
    if target.revision in keys:
        return target
    for key, revision in sorted(keys.items(), reverse=True):
        if revision.state == Revision.State.READY:
            return Target(target.name, target.title, target.task, key, revision.number, revision.context_length,
                          target.limit)  # fmt: skip
    raise WrongVersion(
        f"{index.deployment} serves another version than this collection was indexed with. Index it again with the new "
        "one, or have the old one loaded.",
        retry_after=60,
    )


# -- answers ---------------------------------------------------------------------------------------


def is_expected(request_id: str, transcript: Transcript) -> bool:
    """Whether an ended request is of an index. Most are not, and are told by their form without asking the database."""
    if transcript.text or (transcript.result and "logit_scale" not in transcript.result):
        return False
    return Pending.objects.filter(request_id=request_id, state=Pending.State.SENT).exists()


def take_in(*, request_id: str, transcript: Transcript) -> None:
    """Store what a request says and send the next. Idempotent."""
    rows = list(
        Pending.objects.filter(request_id=request_id, state=Pending.State.SENT)
        .select_related("index__collection__owner", "index__collection__key", "index__version")
        .order_by("place")
    )
    if not rows:
        return
    index = rows[0].index
    if transcript.result.get("count") == len(rows):
        _embedded(index, rows, vectors.from_answer(transcript.result))
    elif transcript.result:  # some of its pictures were deleted meanwhile: the places still tell which is which
        found = vectors.from_answer(transcript.result)
        _embedded(index, rows, found[[row.place for row in rows]])
    else:
        _refused(rows, transcript.error)
    feed(index=index)
    tell_user(index.collection.owner_id, type="search", collection=str(index.collection_id))


@transaction.atomic
def _embedded(index: Index, rows: list[Pending], found: vectors.Vector) -> None:
    """Vectors in place of what was pending. What was deleted meanwhile stays deleted: its row is not there to lock."""
    ids = [row.pk for row in rows]
    alive = set(Pending.objects.filter(pk__in=ids).select_for_update().values_list("pk", flat=True))
    pairs = [(row, vector) for row, vector in zip(rows, found, strict=True) if row.pk in alive]
    vectors.store(index, [(row.picture_id, vector) for row, vector in pairs if row.picture_id])
    TextVector.objects.bulk_create(
        [TextVector(index=index, text_id=row.text_id, embedding=vector) for row, vector in pairs if row.text_id],
        ignore_conflicts=True,
    )
    Pending.objects.filter(pk__in=alive).delete()
    if index.state == Index.State.SERVING:
        _end_items([row.picture_id for row, _ in pairs if row.picture_id], UploadItem.State.DONE)


def _refused(rows: list[Pending], error: dict[str, Any]) -> None:
    """What the model refuses is marked and the rest sent again; what may pass is tried again a few times."""
    message = error.get("message") or "The request was stopped."
    place = error.get("index")
    guilty = [row for row in rows if row.place == place] if isinstance(place, int) else []
    others = [row for row in rows if row not in guilty]
    if guilty:
        _fail(guilty, message)
    final = [row for row in others if not guilty and (row.attempts + 1 >= _ATTEMPTS or _is_final(error))]
    if final:
        _fail(final, message)
    again = [row.pk for row in others if row not in final]
    attempts = 0 if guilty else 1
    for row in others:
        row.attempts += attempts
    Pending.objects.filter(pk__in=again).update(
        state=Pending.State.WAITING, request_id="", attempts=max((row.attempts for row in others), default=0)
    )


def _is_final(error: dict[str, Any]) -> bool:
    return bool(error.get("type") == ErrorType.INVALID_REQUEST)


@transaction.atomic
def _fail(rows: list[Pending], message: str) -> None:
    ids = [row.pk for row in rows]
    Pending.objects.filter(pk__in=ids).update(state=Pending.State.FAILED, error=message[:400], request_id="")
    serving_too = [row.picture_id for row in rows if row.picture_id and row.index.state == Index.State.SERVING]
    _end_items(serving_too, UploadItem.State.FAILED, message)


def _end_items(pictures: list[UUID], state: UploadItem.State, error: str = "") -> None:
    items = UploadItem.objects.filter(picture__in=pictures, state=UploadItem.State.STORED)
    items.update(state=state, error=error[:400])


def retry_failed(*, index: Index) -> int:
    """Everything that failed waits again; returns how much."""
    with transaction.atomic():
        failed = index.pending.filter(state=Pending.State.FAILED)
        pictures = list(failed.exclude(picture=None).values_list("picture_id", flat=True))
        count = failed.update(state=Pending.State.WAITING, attempts=0, error="")
        items = UploadItem.objects.filter(picture__in=pictures, state=UploadItem.State.FAILED)
        items.update(state=UploadItem.State.STORED, error="")
        transaction.on_commit(lambda: sending.ask_to_feed(index.pk))
    return count


# -- the sweep -------------------------------------------------------------------------------------


def sweep() -> None:
    """Go on with every index that should be going: after a refusal, a lost message or a lost request."""
    old = Pending.objects.filter(state=Pending.State.SENT, sent_at__lt=timezone.now() - _LOST_AFTER)
    request_ids = list(old.order_by().values_list("request_id", flat=True).distinct())
    for request_id, is_known in zip(request_ids, requests.exists(request_ids), strict=True):
        if not is_known:
            old.filter(request_id=request_id).update(state=Pending.State.WAITING, request_id="")
        elif (transcript := requests.transcript(request_id)).is_finished:
            take_in(request_id=request_id, transcript=transcript)
    unfinished = Q(state=Index.State.BUILDING) | Q(
        pk__in=Pending.objects.exclude(state=Pending.State.FAILED).values("index_id")
    )
    for index in Index.objects.filter(unfinished).select_related("collection__owner", "collection__key", "version"):
        feed(index=index)


def _say(index: Index, problem: str) -> None:
    if index.problem != problem:
        Index.objects.filter(pk=index.pk).update(problem=problem[:400])
        index.problem = problem
