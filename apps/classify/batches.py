"""Verbs on batches: start one, read its file, keep its requests going, take in what comes back, cancel, go on.

Every change of a chunk is a conditional update, so that two processes which do the same do it once. A few chunks of a
batch are with the workers at a time: a file of a hundred thousand rows must not stand before everybody's single text.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from celery import current_app
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import APIKey, User
from apps.classify.models import Batch, Chunk
from apps.classify.permissions import why_not_sent
from apps.files import texts
from apps.quotas import services as quotas
from apps.quotas.words import NOT_NOW, why
from apps.serving import requests
from apps.serving import services as serving
from apps.serving.requests import Transcript
from contracts import names
from contracts.messages import ErrorType

log = structlog.get_logger()

TASK = "text-classification"
CHUNK_ROWS = 32
CHUNK_CHARS = 200_000  # a chunk of long texts has fewer rows
IN_FLIGHT = 4
_ATTEMPTS = 3
_LOST_AFTER = timedelta(minutes=1)


def start(*, owner: User, deployment: str, upload: UploadedFile, column: str = "", key: APIKey | None = None) -> Batch:
    """Keep the file; worker-app reads it. With a key its use counts for that. Raises UnknownDeployment, WrongTask,
    NoWorker, LimitReached for the bytes."""
    target = serving.route(deployment, task=TASK)
    batch_id = uuid4()
    with quotas.holding_bytes(who=key or owner, source=source_of(batch_id), amount=upload.size or 0, kind=TASK):
        return _keep(batch_id, owner, key, target.name, upload, column)


def _keep(batch_id: UUID, owner: User, key: APIKey | None, deployment: str, upload: UploadedFile, column: str) -> Batch:
    batch = Batch.objects.create(
        pk=batch_id,
        owner=owner,
        key=key,
        deployment=deployment,
        file_name=str(upload.name)[:200],
        upload=upload,  # type: ignore[misc]
        column=column.strip()[:200],
    )
    transaction.on_commit(lambda: _send_read(batch))
    return batch


def read(*, batch: Batch) -> None:
    """Cut the file into chunks and send the first; a file that cannot be read fails the batch. Idempotent."""
    try:
        with batch.upload.open("rb") as file:
            found = texts.read(file.read(), name=batch.file_name, column=batch.column)
    except (texts.UnreadableFile, OSError) as error:
        _end(batch, Batch.Status.FAILED, problem=str(error)[:400])
        return
    if _store(batch, found):
        batch.upload.delete(save=False)
        batch.save(update_fields=["upload"])
        feed(batch=batch)


def feed(*, batch: Batch) -> None:
    """Send chunks until as many are with the workers as may be. What cannot be sent now is sent by `sweep`; what may
    not be sent any more stops the batch. What is with the workers by then is still taken in."""
    while batch.chunks.filter(status=Chunk.Status.SENT).count() < IN_FLIGHT:
        chunk = batch.chunks.filter(status=Chunk.Status.WAITING, batch__status=Batch.Status.RUNNING).first()
        if chunk is None:
            return
        if problem := why_not_sent(batch):
            _end(batch, Batch.Status.STOPPED, problem=problem)
            return
        if not _send(batch, chunk):
            return


def take_in(*, request_id: str, transcript: Transcript) -> None:
    """Store what a request says of a chunk and send the next. Idempotent."""
    sent = Chunk.objects.filter(request_id=request_id, status=Chunk.Status.SENT)
    chunk = sent.select_related("batch__owner", "batch__key").first()
    if chunk is None:
        return
    if transcript.result:
        _classified(chunk, transcript.result["labels"])
    else:
        _refused(chunk, transcript.error)
    feed(batch=chunk.batch)


def cancel(*, batch: Batch) -> bool:
    """Stop it; what is classified stays and can be had. False when it was over."""
    stopped = _end(batch, Batch.Status.CANCELLED)
    if stopped:
        for request_id in batch.chunks.filter(status=Chunk.Status.SENT).values_list("request_id", flat=True):
            serving.stop(request_id=request_id)
    return stopped


def go_on(*, batch: Batch, key: APIKey | None = None) -> bool:
    """Go on with a batch that was stopped. The rest counts for `key`, without one for the owner. False when it was not
    stopped."""
    stopped = Batch.objects.filter(pk=batch.pk, status=Batch.Status.STOPPED)
    if not stopped.update(status=Batch.Status.RUNNING, key=key, problem="", ended_at=None):
        return False
    feed(batch=Batch.objects.get(pk=batch.pk))
    return True


def delete(*, batch: Batch) -> None:
    """With its texts and classes, and its file (stored.py)."""
    cancel(batch=batch)
    batch.delete()


def source_of(batch_id: UUID) -> str:
    """Under what the bytes of its texts are held."""
    return f"batch:{batch_id}"


def sweep() -> None:
    """Go on with every batch that should be going: after a refusal, a lost message or a lost request."""
    for batch in Batch.objects.filter(status=Batch.Status.READING, created_at__lt=timezone.now() - _LOST_AFTER):
        read(batch=batch)
    for batch in Batch.objects.filter(status=Batch.Status.RUNNING):
        _send_again_what_is_lost(batch)
        feed(batch=batch)
        _end_if_done(batch)


# -- reading ---------------------------------------------------------------------------------------


def _store(batch: Batch, found: texts.Texts) -> bool:
    """False when another process has done so, or the batch was cancelled meanwhile."""
    chunks = [
        Chunk(batch=batch, number=number, rows=rows, results=[None] * len(rows))
        for number, rows in enumerate(_cut(found.rows))
    ]
    with transaction.atomic():
        reading_still = Batch.objects.filter(pk=batch.pk, status=Batch.Status.READING)
        if not reading_still.update(
            status=Batch.Status.RUNNING,
            total=len(found.rows),
            column=found.column,
            label_column=found.label_column,
            skipped=found.skipped,
        ):
            return False
        Chunk.objects.bulk_create(chunks, batch_size=500)
    batch.refresh_from_db()
    return True


def _cut(rows: list[tuple[int, str, str]]) -> list[list[tuple[int, str, str]]]:
    chunks: list[list[tuple[int, str, str]]] = []
    size = 0
    for row in rows:
        if not chunks or len(chunks[-1]) == CHUNK_ROWS or size + len(row[1]) > CHUNK_CHARS:
            chunks.append([])
            size = 0
        chunks[-1].append(row)
        size += len(row[1])
    return chunks


# -- sending ---------------------------------------------------------------------------------------


def _send(batch: Batch, chunk: Chunk) -> bool:
    """False when it cannot be sent now; the batch then says why."""
    try:
        target = serving.choose_deployment(batch.deployment, task=TASK)
        texts = [text for (_, text, _), result in zip(chunk.rows, chunk.results, strict=True) if result is None]
        request = serving.build_request(
            target=target, inputs={"texts": texts, "truncate": True}, tenant=str(batch.owner_id)
        )
        with transaction.atomic():
            mine = Chunk.objects.filter(pk=chunk.pk, status=Chunk.Status.WAITING)
            if mine.update(status=Chunk.Status.SENT, request_id=request.request_id, sent_at=timezone.now()):
                quotas.submit(request=request, who=batch.key or batch.owner, target=target)
    except NOT_NOW as error:
        _say(batch, why(error))
        return False
    _say(batch, "")
    return True


def _send_again_what_is_lost(batch: Batch) -> None:
    old = batch.chunks.filter(status=Chunk.Status.SENT, sent_at__lt=timezone.now() - _LOST_AFTER)
    request_ids = list(old.values_list("request_id", flat=True))
    known = requests.exists(request_ids)
    lost = [request_id for request_id, found in zip(request_ids, known, strict=True) if not found]
    old.filter(request_id__in=lost).update(status=Chunk.Status.WAITING, request_id="")


def _send_read(batch: Batch) -> None:
    current_app.send_task(names.READ_BATCH_TASK, args=[str(batch.pk)], queue=names.APP_QUEUE, ignore_result=True)


# -- answers ---------------------------------------------------------------------------------------


def _classified(chunk: Chunk, labels: list[list[dict[str, Any]]]) -> None:
    answers = iter([[one["label"], round(one["score"], 6)] for one in row] for row in labels)
    results = [next(answers) if result is None else result for result in chunk.results]
    _finish(chunk, results)


def _refused(chunk: Chunk, error: dict[str, Any]) -> None:
    """A row that the model refuses is marked and the rest sent again; what may pass is tried again a few times."""
    message = error.get("message") or "The request was stopped."
    waiting = [place for place, result in enumerate(chunk.results) if result is None]
    index = error.get("index")
    results = list(chunk.results)
    if isinstance(index, int) and index < len(waiting):
        results[waiting[index]] = {"error": message}
    elif chunk.attempts + 1 >= _ATTEMPTS or error.get("type") == ErrorType.INVALID_REQUEST:
        results = [{"error": message} if result is None else result for result in results]
    if all(result is not None for result in results):
        _finish(chunk, results)
        return
    attempts = chunk.attempts if isinstance(index, int) else chunk.attempts + 1
    sent = Chunk.objects.filter(pk=chunk.pk, status=Chunk.Status.SENT, request_id=chunk.request_id)
    sent.update(status=Chunk.Status.WAITING, results=results, attempts=attempts)


@transaction.atomic
def _finish(chunk: Chunk, results: list[Any]) -> None:
    """Store the classes and count them, once."""
    sent = Chunk.objects.filter(pk=chunk.pk, status=Chunk.Status.SENT, request_id=chunk.request_id)
    if not sent.update(status=Chunk.Status.DONE, results=results):
        return
    batch = Batch.objects.select_for_update().get(pk=chunk.batch_id)
    for (_, _, right), result in zip(chunk.rows, results, strict=True):
        if isinstance(result, dict):
            batch.failed += 1
            continue
        best = result[0][0]
        batch.counts[best] = batch.counts.get(best, 0) + 1
        batch.agreed += right == best
    batch.done += len(results)
    batch.save(update_fields=["failed", "counts", "agreed", "done"])
    _end_if_done(batch)


def _end_if_done(batch: Batch) -> None:
    if batch.total and batch.done >= batch.total:
        _end(batch, Batch.Status.DONE)


def _end(batch: Batch, status: Batch.Status, *, problem: str = "") -> bool:
    live = Batch.objects.filter(pk=batch.pk, status__in=[Batch.Status.READING, Batch.Status.RUNNING])
    return bool(live.update(status=status, problem=problem, ended_at=timezone.now()))


def _say(batch: Batch, problem: str) -> None:
    if batch.problem != problem:
        Batch.objects.filter(pk=batch.pk, status=Batch.Status.RUNNING).update(problem=problem[:400])
        batch.problem = problem
