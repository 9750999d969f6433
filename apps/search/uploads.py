"""Verbs on uploads: take files in, pause, go on, retry. reading.py reads them."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.db.models import Count

from apps.files import storing
from apps.files.decoding import decoder
from apps.search import archives, places, sending
from apps.search.models import Collection, Pending, QueryPicture, Upload, UploadItem
from apps.serving.limited_process import Unreadable

State = UploadItem.State


# -- taking files in -------------------------------------------------------------------------------


def begin(*, collection: Collection) -> Upload:
    return Upload.objects.create(collection=collection)


def receive(*, upload: Upload, files: Iterable[File]) -> list[UploadItem]:
    """Keep the files as they come; worker-app reads them. What is too large is an item that says so.

    Raises OSError when one cannot be kept: then none of them is."""
    items = [_received(upload, file) for file in files]
    try:
        made = UploadItem.objects.bulk_create(items)
    except OSError:
        storing.remove(*(str(item.file) for item in items if item.file and item.file._committed))  # type: ignore[attr-defined]
        raise
    transaction.on_commit(sending.ask_to_read)
    return made


def _received(upload: Upload, file: File) -> UploadItem:
    name = archives.clean_name(str(file.name))
    is_archive = archives.is_archive(name)
    most = settings.SEARCH_MAX_ARCHIVE_MB if is_archive else settings.SEARCH_MAX_FILE_MB
    if (file.size or 0) > most * 2**20:
        return UploadItem(upload=upload, name=name, state=State.FAILED, error=f"The file is larger than {most} MB.")
    file.name = "archive.zip" if is_archive else "picture"  # what it is called is no matter of the storage
    return UploadItem(upload=upload, name=name, file=file, position=0 if is_archive else None)  # type: ignore[misc]


def pause(*, upload: Upload) -> None:
    """What is being read is finished; nothing else is begun."""
    Upload.objects.filter(pk=upload.pk).update(is_paused=True)


def resume(*, upload: Upload) -> None:
    Upload.objects.filter(pk=upload.pk).update(is_paused=False)
    sending.ask_to_read()


def retry(*, upload: Upload) -> int:
    """Every failed item whose file, or whose picture, is still there; returns how many."""
    failed = upload.items.filter(state=State.FAILED)
    again = failed.filter(picture=None).exclude(file="")
    count = again.update(state=State.WAITING, attempts=0, error="")
    for index in upload.collection.indexes.all():
        pictures = failed.exclude(picture=None).values_list("picture_id", flat=True)
        rows = index.pending.filter(picture__in=list(pictures), state=Pending.State.FAILED)
        rows.update(state=Pending.State.WAITING, attempts=0, error="")
        sending.ask_to_feed(index.pk)
    count += failed.exclude(picture=None).update(state=State.STORED, error="")
    sending.ask_to_read()
    return count


def dismiss(*, upload: Upload) -> None:
    """Forget an upload with the files that were not read; pictures that are stored stay."""
    upload.delete()


def look(*, query: QueryPicture) -> None:
    """Make the small copy of a picture that somebody searches with. Idempotent."""
    if query.is_ready or not query.file:
        return
    try:
        with tempfile.TemporaryDirectory() as folder, storing.local(query.file) as path, decoder() as one:
            one.read(path, Path(folder), keeps_location=False)
            query.thumbnail = places.put_query(query, Path(folder) / "thumbnail")
    except Unreadable as error:
        query.error = str(error)
    query.file.delete(save=False)
    query.save(update_fields=["file", "thumbnail", "error"])


def figures(upload: Upload) -> dict[str, int]:
    """Items by state, and `total`, `over`, `left`. An archive that is unpacked counts by what was in it."""
    rows = upload.items.exclude(position__isnull=False, state=State.DONE).order_by().values("state")
    counts = {state.value: 0 for state in State} | {row["state"]: row["n"] for row in rows.annotate(n=Count("pk"))}
    total, over = sum(counts.values()), counts[State.DONE] + counts[State.KNOWN] + counts[State.FAILED]
    return {**counts, "total": total, "over": over, "left": total - over}
