"""Files that were sent become pictures, in worker-app.

Each file is an item that ends as DONE, KNOWN or FAILED, also when a process is killed in the middle: a claim that is
old is given to the next reader, and what a reader has half done is done again under the same names (places.py). A
slice of files is claimed, decoded by all decoders at once, and stored in one transaction a collection.
"""

import hashlib
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from apps.files import storing
from apps.files.decoding import Decoded, decoder
from apps.quotas import services as quotas
from apps.quotas.words import NOT_NOW, why
from apps.search import archives, indexes, places, sending, unpacking
from apps.search.models import Collection, Index, Picture, QueryPicture, UploadItem
from apps.serving.events import tell_user
from apps.serving.limited_process import Unreadable

State = UploadItem.State
_CLAIM_LASTS = timedelta(minutes=1)  # a slice decodes for two seconds, and its last pictures for twenty at the most
_ATTEMPTS = 3
_SECONDS = 2.0  # that one task reads: others wait for its thread
_LEAST = 0.5  # of them for decoding
_SLICE = 32
_KEEP_QUERIES = timedelta(days=1)
_LOOK_FOR_OLD = 3600  # seconds
_GONE = "The file is gone from the storage. Send it again."
_reading = threading.Lock()


@dataclass(slots=True)
class _Look:
    """A claimed file on its way: where it is, what came out of it or why nothing did."""

    item: UploadItem
    path: Path
    folder: Path  # for what the decoder makes
    sha256: str
    found: Decoded | None = None
    error: str = ""

    @property
    def collection(self) -> Collection:
        return self.item.upload.collection

    @property
    def picture_id(self) -> UUID:
        return places.picture_id(self.collection, self.sha256)

    @property
    def bytes(self) -> int:
        return sum((self.folder / name).stat().st_size for name in ("picture", "thumbnail"))

    @property
    def held_as(self) -> str:
        return f"picture:{self.picture_id}:{self.item.pk}"


def read_some(*, seconds: float = _SECONDS) -> bool:
    """Read what waits, oldest first, for about so long; whether something is left. One thread of a process at a time,
    with all of its decoders: the others serve the rest of the installation."""
    if not _reading.acquire(blocking=False):
        return False
    try:
        ends, touched = time.monotonic() + seconds, dict[UUID, Collection]()
        while items := _claim(_SLICE):
            read(items, until=ends)
            touched |= {item.upload.collection_id: item.upload.collection for item in items}
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
    if cache.add("search:expired", True, _LOOK_FOR_OLD):
        expire()
    if UploadItem.objects.filter(state=State.WAITING, upload__is_paused=False).exists():
        sending.ask_to_read()


def expire() -> None:
    """Throw away files that nobody has had read for long: of paused uploads, and those that there was no room for. They
    count for no limit."""
    days = settings.UPLOAD_KEEP_DAYS
    old = UploadItem.objects.filter(upload__created_at__lt=timezone.now() - timedelta(days=days)).exclude(file="")
    unread = Q(state=State.FAILED) | Q(state=State.WAITING, upload__is_paused=True)
    for item in old.filter(unread).only("file", "state").iterator():
        error = f"The file was not read within {days} days and is deleted. Send it again."
        # Unless somebody goes on with it just now.
        if UploadItem.objects.filter(pk=item.pk, state=item.state).update(state=State.FAILED, error=error, file=""):
            storing.remove(item.file.name or "")


@transaction.atomic
def _claim(most: int) -> list[UploadItem]:
    """The next items, for this reader alone. What a reader has ended at before is read by itself: should it be the
    cause, it takes no others with it."""
    waiting = UploadItem.objects.filter(state=State.WAITING, upload__is_paused=False)
    items = list(
        waiting.select_related("upload__collection__owner", "upload__collection__key")
        .order_by("pk")
        .select_for_update(skip_locked=True, of=("self",))[:most]
    )
    fresh = [item for item in items if not item.attempts]
    items = fresh if items and not items[0].attempts else items[:1]
    _of(items).update(state=State.READING, attempts=F("attempts") + 1, claimed_at=timezone.now())
    return items


def read(items: Iterable[UploadItem], *, until: float) -> None:
    """Bring claimed items to their ends, or to what waits for their vectors. What is not begun by then waits again."""
    pictures = []
    for item in items:
        if item.position is None:
            pictures.append(item)
        elif time.monotonic() < until:
            _unpack(item)
        else:
            _give_back([item])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        looks = [look for item in pictures if (look := _opened(item, stack, folder))]
        looks = _new(looks)
        until = max(until, time.monotonic() + _LEAST)  # a slow storage must not have all given back for ever
        with ThreadPoolExecutor(settings.SEARCH_DECODERS) as pool:
            list(pool.map(lambda look: _decode(look, until), looks))
        for look in looks:
            if look.error:
                _fail(look.item, look.error)
        _give_back(look.item for look in looks if not look.found and not look.error)
        by_collection = attrgetter("item.upload.collection_id")
        decoded = sorted((look for look in looks if look.found), key=by_collection)
        for _, of_one in groupby(decoded, by_collection):
            _store(list(of_one))


def _unpack(item: UploadItem) -> None:
    try:
        unpacking.unpack(item)
    except archives.UnreadableArchive as error:
        _fail(item, str(error))
    except FileNotFoundError:
        _fail(item, _GONE)


def _opened(item: UploadItem, stack: ExitStack, folder: Path) -> _Look | None:
    try:
        path = stack.enter_context(storing.local(item.file))
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        _fail(item, _GONE)
        return None
    own = folder / str(item.pk)
    own.mkdir()
    return _Look(item, path, own, sha256)


def _new(looks: list[_Look]) -> list[_Look]:
    """Those whose collection has them not yet. The second of two equal ones waits for what becomes of the first."""
    ids = [look.picture_id for look in looks]
    there = set(Picture.objects.filter(pk__in=ids).values_list("pk", flat=True))
    _end([look for look in looks if look.picture_id in there], State.KNOWN)
    first = {look.picture_id: look for look in reversed(looks)}
    new = [look for look in looks if look.picture_id not in there]
    _give_back(look.item for look in new if first[look.picture_id] is not look)
    return [look for look in new if first[look.picture_id] is look]


def _decode(look: _Look, until: float) -> None:
    """In a thread without a database."""
    if time.monotonic() > until:
        return
    try:
        with decoder() as one:
            look.found = one.read(look.path, look.folder, keeps_location=look.collection.keeps_location)
    except Unreadable as error:
        look.error = str(error)


def _store(looks: list[_Look]) -> None:
    """Of one collection: in one transaction the bytes that are held, the files, the pictures, and what its indexes
    expect."""
    collection, by_source = looks[0].collection, {look.held_as: look for look in looks}
    try:
        with quotas.holding_each(
            who=collection.key or collection.owner, sizes={source: look.bytes for source, look in by_source.items()},
            kind="pictures",
        ) as held:  # fmt: skip
            # Waits for an index that is being put in the place of another, or for the collection's end.
            if not Collection.objects.select_for_update(no_key=True).filter(pk=collection.pk).exists():
                raise Unreadable("The collection was deleted.")
            passed = [look for source, look in by_source.items() if source not in held.refused]
            ids = [look.picture_id for look in passed]
            there = set(Picture.objects.filter(pk__in=ids).values_list("pk", flat=True))
            known = [look for look in passed if look.picture_id in there]  # another reader was faster
            held.given_back |= {look.held_as for look in known}
            _end(known, State.KNOWN)
            new = [look for look in passed if look.picture_id not in there]
            Picture.objects.bulk_create([_picture(look) for look in new])
            indexes.expect_pictures(collection, [look.picture_id for look in new])
            _end(new, State.STORED)
        for source, error in held.refused.items():
            _fail(by_source[source].item, why(error), keeps_file=True)
    except Unreadable as error:
        for look in looks:
            _fail(look.item, str(error))
    except NOT_NOW as error:
        for look in looks:
            _fail(look.item, why(error), keeps_file=True)


def _picture(look: _Look) -> Picture:
    """With its files; what an attempt that was cut short has left is replaced."""
    assert look.found
    file, thumbnail = places.put(look.collection, look.picture_id, look.folder, look.found.extension)
    return Picture(
        id=look.picture_id, collection=look.collection, sha256=look.sha256, phash=look.found.phash,
        colour=look.found.colour, name=look.item.name, kind=look.found.kind, width=look.found.width,
        height=look.found.height, bytes=look.bytes, file=file, thumbnail=thumbnail, taken_at=look.found.taken_at,
        held_as=look.held_as,
    )  # fmt: skip


# -- ends of items ---------------------------------------------------------------------------------


def _of(items: Iterable[UploadItem]) -> QuerySet[UploadItem]:
    return UploadItem.objects.filter(pk__in=[item.pk for item in items])


def _give_back(items: Iterable[UploadItem]) -> None:
    """Not begun: this was no attempt."""
    _of(items).update(state=State.WAITING, attempts=F("attempts") - 1)


def _end(looks: list[_Look], state: UploadItem.State) -> None:
    """With the files that came: they are not needed any more."""
    came = [look.item.file.name or "" for look in looks]
    picture: RawSQL | None = None
    if state == State.STORED:
        ids, pictures = [look.item.pk for look in looks], [look.picture_id for look in looks]
        picture = RawSQL("(%s::uuid[])[array_position(%s::bigint[], id)]", [pictures, ids])
    _of(look.item for look in looks).update(state=state, file="", picture=picture)
    transaction.on_commit(lambda: storing.remove(*came))


def _fail(item: UploadItem, error: str, *, keeps_file: bool = False) -> None:
    """What came is kept only when trying again can help."""
    came = "" if keeps_file else item.file.name or ""
    kept = {} if keeps_file else {"file": ""}
    _of([item]).update(state=State.FAILED, error=error[:400], **kept)
    transaction.on_commit(lambda: storing.remove(came))
