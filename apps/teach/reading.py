"""Pictures and clips that were sent, on worker-app: decoded in processes of their own, kept as a small copy."""

import tempfile
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.files import storing
from apps.files.clips import clip_decoder
from apps.files.decoding import decoder
from apps.quotas import services as quotas
from apps.quotas.words import NOT_NOW, why
from apps.serving.limited_process import Unreadable
from apps.teach import sending, teaching
from apps.teach.models import Classifier, Example

State = Example.State
_TOGETHER = 8
_ATTEMPTS = 3
_LOST_AFTER = timedelta(minutes=1)
_GONE = "The file is gone from the storage. Send it again."
_ENDED = "The program that reads pictures ended several times at this file."
_ENDED_AT_CLIP = "The program that reads clips ended several times at this file."


def read_some() -> bool:
    """Claim a few and bring them to their ends; False when nothing waits."""
    rows = _claim()
    for row in rows:
        _read(row)
    for classifier in Classifier.objects.filter(pk__in={row.classifier_id for row in rows}).select_related(
        "owner", "version"
    ):
        teaching.rank(classifier=classifier)
    return bool(rows)


def sweep() -> None:
    """Give back what a reader that ended had claimed."""
    lost = Example.objects.filter(state=State.READING, claimed_at__lt=timezone.now() - _LOST_AFTER)
    given_up = lost.filter(attempts__gte=_ATTEMPTS)
    given_up.filter(classifier__reads=Classifier.Reads.CLIPS).update(state=State.FAILED, error=_ENDED_AT_CLIP)
    given_up.update(state=State.FAILED, error=_ENDED)
    lost.filter(state=State.READING).update(state=State.WAITING)
    if Example.objects.filter(state=State.WAITING).exists():
        sending.ask_to_read()


@transaction.atomic
def _claim() -> list[Example]:
    waiting = Example.objects.filter(state=State.WAITING).select_for_update(skip_locked=True, of=("self",))
    rows = list(waiting.select_related("classifier__owner")[:_TOGETHER])
    Example.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=State.READING, attempts=F("attempts") + 1, claimed_at=timezone.now()
    )
    return rows


def _read(row: Example) -> None:
    try:
        with tempfile.TemporaryDirectory() as folder, storing.local(row.file) as path:
            kept_as, extension, made = _decoded(row, path, Path(folder))
            with quotas.holding_bytes(
                who=row.classifier.owner, source=row.held_as, amount=made.stat().st_size, kind="pictures"
            ):
                name = storing.replace(f"teach/{row.classifier_id}/{row.pk}.{extension}", made)
                _end(row, state=State.READY, **{kept_as: name})
    except Unreadable as error:
        _end(row, state=State.FAILED, error=str(error)[:400])
    except FileNotFoundError:
        _end(row, state=State.FAILED, error=_GONE)
    except NOT_NOW as error:
        _end(row, state=State.FAILED, error=why(error)[:400])


def _decoded(row: Example, path: Path, folder: Path) -> tuple[str, str, Path]:
    """The field that it is kept in, its extension and the small copy. Raises Unreadable."""
    if row.classifier.reads == Classifier.Reads.CLIPS:
        with clip_decoder() as one:
            one.read(path, folder)
        return "clip", "wav", folder / "clip"
    with decoder() as one:
        one.read(path, folder, keeps_location=False)
    return "picture", "webp", folder / "thumbnail"


def _end(row: Example, **values: str) -> None:
    """With the file that came."""
    came = row.file.name or ""
    Example.objects.filter(pk=row.pk).update(file="", **values)
    transaction.on_commit(lambda: storing.remove(came))
