"""Verbs on uploads: take files in, read them in worker-app, pause, go on, retry.

Each file is an item that ends as DONE, KNOWN or FAILED, also when a process is killed in the middle: a claim that is
old is given to the next reader, and what a reader has half done is done again under the same names (storing.py).
"""

import hashlib
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.db import close_old_connections, transaction
from django.db.models import Count
from django.utils import timezone

from apps.quotas import services as quotas
from apps.quotas.words import NOT_NOW, why
from apps.search import archives, indexes, sending, storing
from apps.search.decoding import Decoded, Unreadable, decoder
from apps.search.models import Collection, Index, Pending, Picture, QueryPicture, Upload, UploadItem
from apps.serving.events import tell_user
from contracts import names

log = structlog.get_logger()

State = UploadItem.State
_CLAIM_LASTS = timedelta(minutes=1)  # four pictures at two decoders take forty seconds at the most
_ATTEMPTS = 3
_SLICE = 2.0  # seconds that one task reads: others wait for its thread
_ENTRIES = 32  # of an archive, unpacked at a time
_KEEP_QUERIES = timedelta(days=1)
_reading = threading.Lock()


# -- taking files in -------------------------------------------------------------------------------


def begin(*, collection: Collection) -> Upload:
    return Upload.objects.create(collection=collection)


def receive(*, upload: Upload, files: Iterable[File]) -> list[UploadItem]:
    """Keep the files as they come; worker-app reads them. What is too large is an item that says so."""
    made = [_received(upload, file) for file in files]
    transaction.on_commit(ask_to_read)
    return made


def _received(upload: Upload, file: File) -> UploadItem:
    name = archives.clean_name(str(file.name))
    is_archive = archives.is_archive(name)
    most = settings.SEARCH_MAX_ARCHIVE_MB if is_archive else settings.SEARCH_MAX_FILE_MB
    if (file.size or 0) > most * 2**20:
        return UploadItem.objects.create(
            upload=upload, name=name, state=State.FAILED, error=f"The file is larger than {most} MB."
        )
    file.name = "archive.zip" if is_archive else "picture"  # what it is called is no matter of the storage
    return UploadItem.objects.create(upload=upload, name=name, file=file, position=0 if is_archive else None)  # type: ignore[misc]


def pause(*, upload: Upload) -> None:
    """What is being read is finished; nothing else is begun."""
    Upload.objects.filter(pk=upload.pk).update(is_paused=True)


def resume(*, upload: Upload) -> None:
    Upload.objects.filter(pk=upload.pk).update(is_paused=False)
    ask_to_read()


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
    ask_to_read()
    return count


def dismiss(*, upload: Upload) -> None:
    """Forget an upload with the files that were not read; pictures that are stored stay."""
    upload.delete()


def look(*, query: QueryPicture) -> None:
    """Make the small copy of a picture that somebody searches with. Idempotent."""
    if query.is_ready or not query.file:
        return
    try:
        with tempfile.TemporaryDirectory() as folder, _local(query.file) as path, decoder() as one:
            one.read(path, Path(folder), keeps_location=False)
            query.thumbnail = storing.put_query(query, Path(folder) / "thumbnail")
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


# -- reading, in worker-app ------------------------------------------------------------------------


def ask_to_read() -> None:
    sending.send(names.READ_PICTURES_TASK)


def read_some(*, seconds: float = _SLICE) -> bool:
    """Read what waits, oldest first, for about so long; whether something is left. One thread of a process at a time,
    with all of its decoders: the others serve the rest of the installation."""
    if not _reading.acquire(blocking=False):
        return False
    try:
        ends = time.monotonic() + seconds
        touched: dict[str, Collection] = {}
        with ThreadPoolExecutor(settings.SEARCH_DECODERS) as pool:
            while items := _claim(2 * settings.SEARCH_DECODERS):
                list(pool.map(_read_in_thread, items))
                touched |= {str(item.upload.collection_id): item.upload.collection for item in items}
                if time.monotonic() > ends:
                    break
        for collection in touched.values():
            for index in Index.objects.filter(collection=collection):
                sending.ask_to_feed(index.pk)
            tell_user(collection.owner_id, type="search", collection=str(collection.pk))
        return bool(items)
    finally:
        _reading.release()


def sweep() -> None:
    """Give up old claims, throw away what nobody needs any more, and see that something reads."""
    old = UploadItem.objects.filter(state=State.READING, claimed_at__lt=timezone.now() - _CLAIM_LASTS)
    old.filter(attempts__gte=_ATTEMPTS).update(
        state=State.FAILED, error="The program that reads pictures ended several times at this file."
    )
    old.update(state=State.WAITING)
    for query in QueryPicture.objects.filter(created_at__lt=timezone.now() - _KEEP_QUERIES):
        query.delete()
    if UploadItem.objects.filter(state=State.WAITING, upload__is_paused=False).exists():
        ask_to_read()


@transaction.atomic
def _claim(most: int) -> list[UploadItem]:
    """The next items, for this reader alone."""
    waiting = UploadItem.objects.filter(state=State.WAITING, upload__is_paused=False)
    items = list(
        waiting.select_related("upload__collection__owner", "upload__collection__key")
        .order_by("pk")
        .select_for_update(skip_locked=True, of=("self",))[:most]
    )
    for item in items:
        item.state, item.attempts, item.claimed_at = State.READING, item.attempts + 1, timezone.now()
    UploadItem.objects.bulk_update(items, ["state", "attempts", "claimed_at"])
    return items


def _read_in_thread(item: UploadItem) -> None:
    close_old_connections()
    try:
        read_item(item=item)
    finally:
        close_old_connections()


def read_item(*, item: UploadItem) -> None:
    """Bring a claimed item to its end, or to what waits for its vector."""
    try:
        if item.position is None:
            _read_picture(item)
        else:
            _unpack(item)
    except (Unreadable, archives.UnreadableArchive) as error:
        _end(item, State.FAILED, str(error))
    except NOT_NOW as error:
        _fail_and_keep(item, why(error))
    except FileNotFoundError:
        _end(item, State.FAILED, "The file is gone from the storage. Send it again.")


def _read_picture(item: UploadItem) -> None:
    collection = item.upload.collection
    with tempfile.TemporaryDirectory() as made, _local(item.file) as path:
        folder = Path(made)
        sha256 = _digest(path)
        if Picture.objects.filter(collection=collection, sha256=sha256).exists():
            _end(item, State.KNOWN)
            return
        with decoder() as one:
            found = one.read(path, folder, keeps_location=collection.keeps_location)
        try:
            _store(item, collection, sha256, found, folder)
        except _Known:
            _end(item, State.KNOWN)


class _Known(Exception):
    """Another item has stored the same picture meanwhile."""


def _store(item: UploadItem, collection: Collection, sha256: str, found: Decoded, folder: Path) -> None:
    """The files, then in one transaction the bytes that are held, the picture, and what its indexes expect."""
    picture_id = storing.picture_id(collection, sha256)
    size = sum((folder / name).stat().st_size for name in ("picture", "thumbnail"))
    held_as = f"picture:{picture_id}:{item.pk}"
    who = collection.key or collection.owner
    with quotas.holding_bytes(who=who, source=held_as, amount=size, kind="pictures"):
        # Waits for an index that is being put in the place of another, or for the collection's end.
        if not Collection.objects.select_for_update(no_key=True).filter(pk=collection.pk).exists():
            raise Unreadable("The collection was deleted.")
        if Picture.objects.filter(pk=picture_id).exists():
            raise _Known
        file, thumbnail = storing.put(collection, picture_id, folder, found.extension)
        picture = Picture.objects.create(
            id=picture_id, collection=collection, sha256=sha256, phash=found.phash, colour=found.colour,
            name=item.name, kind=found.kind, width=found.width, height=found.height, bytes=size, file=file,
            thumbnail=thumbnail, taken_at=found.taken_at, held_as=held_as,
        )  # fmt: skip
        indexes.expect_pictures(collection, [picture.pk])
        _end(item, State.STORED, picture=picture)


def _unpack(item: UploadItem) -> None:
    """The next entries become items of their own; the archive waits for its next turn, or is done."""
    assert item.position is not None
    made: list[UploadItem] = []
    with item.file.open("rb") as file, archives.open_archive(file) as archive:
        following = item.position
        for place, name, content in archives.entries(archive, item.position):
            made.append(_entry(item, name, content))
            following = place + 1
            if len(made) == _ENTRIES:
                break
    try:
        with transaction.atomic():
            mine = UploadItem.objects.filter(pk=item.pk, state=State.READING, position=item.position)
            if len(made) == _ENTRIES:
                moved = mine.update(state=State.WAITING, position=following, attempts=0)
            elif item.position == 0 and not made:
                raise archives.UnreadableArchive("The archive has no files in it.")
            else:
                moved = mine.update(state=State.DONE, file="")
            if moved:
                UploadItem.objects.bulk_create(made)
    except BaseException:
        for one in made:
            if one.file:
                one.file.delete(save=False)
        raise
    if len(made) < _ENTRIES:
        item.file.delete(save=False)


def _entry(item: UploadItem, name: str, content: bytes | str) -> UploadItem:
    if isinstance(content, str):
        return UploadItem(upload=item.upload, name=name, state=State.FAILED, error=content)
    one = UploadItem(upload=item.upload, name=name)
    one.file.save("picture", ContentFile(content), save=False)
    return one


def _end(item: UploadItem, state: UploadItem.State, error: str = "", picture: Picture | None = None) -> None:
    """With the file that came: it is not needed any more. One that failed is kept only when trying again can help."""
    UploadItem.objects.filter(pk=item.pk).update(state=state, error=error[:400], picture=picture, file="")
    stored_as = item.file.name
    transaction.on_commit(lambda: storing.remove(stored_as or ""))


def _fail_and_keep(item: UploadItem, error: str) -> None:
    UploadItem.objects.filter(pk=item.pk).update(state=State.FAILED, error=error[:400])


@contextmanager
def _local(file: File) -> Iterator[Path]:
    """A path of this machine; a copy where the storage is elsewhere. Raises FileNotFoundError."""
    path = ""
    with suppress(NotImplementedError):
        path = file.path  # type: ignore[attr-defined]
    if path:
        yield Path(path)
        return
    with tempfile.NamedTemporaryFile() as copy, file.open("rb") as content:
        for chunk in content.chunks():
            copy.write(chunk)
        copy.flush()
        yield Path(copy.name)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
