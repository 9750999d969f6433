"""Files to pictures that can be found: each ends as found, known or failed, whatever happens in between."""

import errno
import io
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image

from apps.accounts.models import User
from apps.quotas import services as quotas
from apps.quotas.models import LedgerEntry, Metric, Scope, Window
from apps.search import embedding, pictures, reading, searching, sending, unpacking, uploads, vectors
from apps.search.models import Collection, Pending, Picture, Upload, UploadItem
from apps.search.query import Part, Query
from tests.apps.search.conftest import COLOURS, ColourWorker, files, fill, png

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]


def states(upload: Any) -> dict[str, tuple[str, str]]:
    return {item.name: (item.state, item.error) for item in upload.items.all()}


def names(collection: Collection, query: Query) -> list[str]:
    found = searching.Search(collection=collection, query=query, user=collection.owner).page()
    return [hit.picture.name for hit in found.hits]


def packed(named: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in named.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_files_become_pictures_that_are_found(filled: Collection) -> None:
    [upload] = filled.uploads.all()
    assert set(states(upload).values()) == {("done", "")}
    assert uploads.figures(upload)["done"] == 9
    assert names(filled, Query(parts=(Part("words", "red"),)))[:2] == ["red.png", "both.png"]
    assert names(filled, Query(parts=(Part("words", "红"),)))[:1] == ["red.png"]
    picture = Picture.objects.get(name="red.png")
    assert (picture.kind, picture.width, picture.height, picture.colour) == ("png", 40, 20, 0xDC1E1E)
    assert not UploadItem.objects.exclude(file="").exists()


@pytest.mark.parametrize("kind", ["avif", "heic", "webp"])
def test_newer_kinds_are_kept_as_browsers_show_them(
    collection: Collection, seer: ColourWorker, media: Path, kind: str
) -> None:
    image, file = Image.new("RGB", (64, 48), COLOURS["green"]), io.BytesIO()
    if kind == "heic":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.from_pillow(image).save(file)
    else:
        image.save(file, kind)
    whole, cut = file.getvalue(), file.getvalue()[: len(file.getvalue()) // 2]
    upload = fill(collection, seer, {f"whole.{kind}": whole, f"cut.{kind}": cut})
    assert {name: state for name, (state, _) in states(upload).items()} == {
        f"whole.{kind}": "done", f"cut.{kind}": "failed",
    }  # fmt: skip
    picture = Picture.objects.get()
    assert (picture.kind, picture.width, picture.height) == (kind, 64, 48)
    kept = Image.open(media / picture.file)
    assert kept.format == ("WEBP" if kind == "webp" else "JPEG") and kept.size == (64, 48)
    assert names(collection, Query(parts=(Part("words", "green"),), cut=0.5)) == [f"whole.{kind}"]


@pytest.mark.slow
def test_a_thousand_files_twice_add_nothing(collection: Collection, seer: ColourWorker, media: Path) -> None:
    """Each a picture of its own, in an archive, as an upload of many files."""
    rng, named = np.random.default_rng(0), {}
    for n in range(1000):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(file, "PNG")
        named[f"{n}.png"] = file.getvalue()

    def there() -> tuple[int, int, int, int]:
        held = sum(LedgerEntry.objects.values_list("stored_bytes", flat=True))
        kept = sum(1 for path in media.rglob("*") if path.is_file())
        return Picture.objects.count(), vectors.count(collection.indexes.get()), held, kept

    first = fill(collection, seer, {"all.zip": packed(named)})
    assert uploads.figures(first) | {"done": 1000, "total": 1000, "left": 0} == uploads.figures(first)
    before, seen = there(), len(seer.engine.seen)
    assert before[:2] == (1000, 1000) and before[3] == 2000
    second = fill(collection, seer, {"all.zip": packed(named)})
    assert uploads.figures(second) | {"known": 1000, "total": 1000, "left": 0} == uploads.figures(second)
    assert there() == before and len(seer.engine.seen) == seen


def test_what_a_limit_leaves_room_for_is_stored_and_the_rest_named(
    collection: Collection, seer: ColourWorker, owner: User
) -> None:
    """Files that are read together are held one by one."""
    probe = fill(collection, seer, {"red.png": png("red")})
    size = Picture.objects.get().bytes
    pictures.delete(pictures=Picture.objects.all())
    uploads.dismiss(upload=probe)
    quotas.set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.STORED_BYTES, window=Window.NOW,
                     amount=3 * size, actor=None)  # fmt: skip
    upload = fill(collection, seer, {f"{one}.png": png(one) for one in COLOURS})
    found = [state for state, _ in states(upload).values()]
    assert 2 <= found.count("done") <= 4 and found.count("done") + found.count("failed") == len(COLOURS)
    held = sum(LedgerEntry.objects.values_list("stored_bytes", flat=True))
    assert held == sum(Picture.objects.values_list("bytes", flat=True)) <= 3 * size
    assert all(item.file for item in upload.items.filter(state="failed"))


def test_a_file_that_ends_the_reader_takes_no_others_with_it(
    collection: Collection, seer: ColourWorker, monkeypatch: Any
) -> None:
    """What was begun before is read alone, and given up after three times."""
    upload = uploads.begin(collection=collection)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "send", lambda *arguments: None)
        uploads.receive(upload=upload, files=files({f"{one}.png": png(one) for one in ("red", "blue", "green")}))
    store = reading._store

    def killed_by_blue(looks: list[Any]) -> None:
        if any(look.item.name == "blue.png" for look in looks):
            raise RuntimeError("killed")
        store(looks)

    monkeypatch.setattr(reading, "_store", killed_by_blue)
    for _ in range(6):
        with suppress(RuntimeError):
            reading.read_some()
        UploadItem.objects.filter(state="reading").update(claimed_at=timezone.now() - reading._CLAIM_LASTS * 2)
        with suppress(RuntimeError):
            reading.sweep()
    seer.drain()
    ended = "The program that reads pictures ended several times at this file."
    assert states(upload) == {"red.png": ("done", ""), "blue.png": ("failed", ended), "green.png": ("done", "")}


def test_the_same_files_again_add_nothing(filled: Collection, seer: ColourWorker, media: Path) -> None:
    def held() -> int:
        return sum(LedgerEntry.objects.values_list("stored_bytes", flat=True))

    before = (Picture.objects.count(), held(), sorted(path.name for path in media.rglob("*") if path.is_file()))
    seen = len(seer.engine.seen)
    again = fill(filled, seer, {f"copy of {one}.png": png(one) for one in COLOURS})
    assert {state for state, _ in states(again).values()} == {"known"}
    after = (Picture.objects.count(), held(), sorted(path.name for path in media.rglob("*") if path.is_file()))
    assert after == before and len(seer.engine.seen) == seen
    assert held() == sum(Picture.objects.values_list("bytes", flat=True)) > 0


def test_twice_in_one_upload_is_once(collection: Collection, seer: ColourWorker) -> None:
    upload = fill(collection, seer, {"a.png": png("red"), "b.png": png("red")})
    assert sorted(state for state, _ in states(upload).values()) == ["done", "known"]


BAD = {
    "empty.jpg": (b"", "The file is empty."),
    "text.png": (
        b"hello there",
        "The file is no picture that can be read: JPEG, PNG, WebP, GIF, AVIF, HEIC, BMP or TIFF.",
    ),
    "cut.png": (png("red", size=(400, 400))[:500], "The file is damaged: it ends too early or holds no picture."),
    "drawing.svg": (
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "Drawings (SVG) and pages are not read: they can hold scripts. Save it as PNG.",
    ),
    "broken.zip": (b"PK\x03\x04 and nothing", "The file is damaged or no ZIP file."),
}  # fmt: skip


def test_bad_files_are_refused_with_a_sentence_and_nothing_stops(collection: Collection, seer: ColourWorker) -> None:
    good = {"wrong extension.gif": png("green"), "../../🦊.png": png("blue")}
    upload = fill(collection, seer, {name: content for name, (content, _) in BAD.items()} | good)
    # Django's own upload class has cut the path off already.
    assert states(upload) == {
        **{name: ("failed", sentence) for name, (_, sentence) in BAD.items()},
        "wrong extension.gif": ("done", ""),
        "🦊.png": ("done", ""),
    }
    assert Picture.objects.get(name="wrong extension.gif").kind == "png"


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    collection: Collection, seer: ColourWorker
) -> None:
    file = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(file, "PNG")
    upload = fill(collection, seer, {"huge.png": file.getvalue()})
    sentence = "The picture has 20000 x 10000 pixels; at most 80,000,000 are read."
    assert states(upload) == {"huge.png": ("failed", sentence)}


def test_an_archive_is_unpacked_by_names_alone(collection: Collection, seer: ColourWorker, media: Path) -> None:
    inside = {
        "../../../etc/red.png": png("red"), "C:\\windows\\blue.png": png("blue"), "folder/": b"",
        "__MACOSX/._x.png": b"x", ".DS_Store": b"x", "inner.zip": packed({"a.png": png("green")}),
        "notes.txt": b"hello", "bomb.png": b"\0" * 30_000_000,
    }  # fmt: skip
    upload = fill(collection, seer, {"album.zip": packed(inside)})
    found = states(upload)
    assert found.pop("bomb.png")[1].startswith("The file expands to ")
    assert found == {
        "album.zip": ("done", ""),
        "red.png": ("done", ""),
        "blue.png": ("done", ""),
        "inner.zip": ("failed", "An archive inside an archive is not unpacked."),
        "notes.txt": ("failed", BAD["text.png"][1]),
    }
    assert all(media in path.parents for path in media.rglob("*"))
    assert uploads.figures(upload)["total"] == 5
    assert not [path for path in (media / "search/incoming").rglob("*") if path.is_file()]


def test_a_large_archive_is_unpacked_in_turns(collection: Collection, seer: ColourWorker, monkeypatch: Any) -> None:
    monkeypatch.setattr(unpacking, "_ENTRIES", 3)
    upload = fill(collection, seer, {"album.zip": packed({f"{one}.png": png(one) for one in COLOURS})})
    assert uploads.figures(upload) | {"done": 8, "total": 8, "left": 0} == uploads.figures(upload)


def test_an_archive_that_fills_a_disk_is_refused(collection: Collection, seer: ColourWorker, settings: Any) -> None:
    settings.SEARCH_MAX_ARCHIVE_MB = 1
    upload = fill(collection, seer, {"big.zip": packed({"a.png": b"\0" * 3 * 2**20})})
    assert states(upload) == {"big.zip": ("failed", "The archive unpacks to 3 MB; at most 1 MB are unpacked.")}


def jpeg(exif: Image.Exif) -> bytes:
    image = Image.new("RGB", (60, 40), COLOURS["red"])
    image.paste(COLOURS["blue"], (30, 0, 60, 40))
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, comment=b"secret")
    return file.getvalue()


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8769] = {0x9003: "2026:02:03 04:05:06"}
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}
    return exif


@pytest.mark.parametrize(("orientation", "size"), [(1, (60, 40)), (6, (40, 60))])
def test_pictures_stand_upright_and_do_not_tell_where_they_were_taken(
    collection: Collection, seer: ColourWorker, media: Path, orientation: int, size: tuple[int, int]
) -> None:
    fill(collection, seer, {"a.jpg": jpeg(exif_of(orientation))})
    picture = Picture.objects.get()
    assert (picture.width, picture.height) == size
    assert picture.taken_at == datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    kept = Image.open(media / picture.file)
    assert kept.size == size and not kept.getexif().get_ifd(0x8825) and "comment" not in kept.info
    assert Image.open(media / picture.thumbnail).size == size


def test_who_wants_keeps_the_location(collection: Collection, seer: ColourWorker, media: Path) -> None:
    Collection.objects.update(keeps_location=True)
    fill(collection, seer, {"a.jpg": jpeg(exif_of(1)), "b.jpg": jpeg(exif_of(6))})
    assert [Image.open(media / one.file).getexif().get_ifd(0x8825)[1] for one in Picture.objects.all()] == ["N", "N"]


def test_what_a_model_refuses_is_listed_and_can_be_retried(collection: Collection, seer: ColourWorker) -> None:
    seer.engine.refuses_purple = True
    upload = fill(collection, seer, {"purple.png": png("purple"), "red.png": png("red")})
    assert states(upload) == {"purple.png": ("failed", "is purple"), "red.png": ("done", "")}
    seer.engine.refuses_purple = False
    assert uploads.retry(upload=upload) == 1
    seer.drain()
    assert states(upload)["purple.png"] == ("done", "")
    assert not Pending.objects.exists()


def test_a_model_that_fails_is_tried_again_but_not_for_ever(collection: Collection, seer: ColourWorker) -> None:
    seer.engine.fail_with = {"type": "internal", "message": "broken"}
    upload = fill(collection, seer, {"red.png": png("red")})
    assert states(upload) == {"red.png": ("failed", "broken")}
    assert len(seer.engine.seen) == 3


def test_a_reader_that_is_killed_loses_nothing(collection: Collection, seer: ColourWorker, monkeypatch: Any) -> None:
    """Claimed, and half stored: files are there, the database knows nothing of them."""
    upload = uploads.begin(collection=collection)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "send", lambda *arguments: None)
        uploads.receive(upload=upload, files=files({"red.png": png("red"), "blue.png": png("blue")}))
    claimed = reading._claim(1)
    assert sorted(state for state, _ in states(upload).values()) == ["reading", "waiting"] and len(claimed) == 1
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(Picture.objects, "bulk_create", lambda rows: (_ for _ in ()).throw(RuntimeError("killed")))
        reading.read(claimed, until=time.monotonic() + 9)
    UploadItem.objects.filter(state="reading").update(claimed_at=timezone.now() - reading._CLAIM_LASTS * 2)
    reading.sweep()
    seer.drain()
    assert set(states(upload).values()) == {("done", "")}
    assert Picture.objects.count() == vectors.count(collection.indexes.get()) == 2


def test_what_is_not_begun_in_time_waits_again(collection: Collection, seer: ColourWorker, monkeypatch: Any) -> None:
    upload = uploads.begin(collection=collection)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "send", lambda *arguments: None)
        uploads.receive(upload=upload, files=files({f"{one}.png": png(one) for one in COLOURS}))
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_LEAST", -1e9)
        reading.read(reading._claim(32), until=0)
    assert set(upload.items.values_list("state", "attempts")) == {("waiting", 0)}
    reading.sweep()
    seer.drain()
    assert set(states(upload).values()) == {("done", "")}


def test_a_lost_request_is_sent_again(collection: Collection, seer: ColourWorker) -> None:
    from apps.serving.connection import client

    seer.engine.gate.clear()
    upload = uploads.begin(collection=collection)
    uploads.receive(upload=upload, files=files({"red.png": png("red")}))
    [request] = seer.sent
    seer.sent.clear()
    client().delete(f"request:{{{request.request_id}}}")
    Pending.objects.update(sent_at=timezone.now() - embedding._LOST_AFTER * 2)
    seer.engine.gate.set()
    embedding.sweep()
    seer.drain()
    assert states(upload) == {"red.png": ("done", "")}


def test_a_paused_upload_waits(collection: Collection, seer: ColourWorker) -> None:
    upload = uploads.begin(collection=collection)
    uploads.pause(upload=upload)
    uploads.receive(upload=upload, files=files({"red.png": png("red")}))
    reading.sweep()
    assert states(upload) == {"red.png": ("waiting", "")}
    uploads.resume(upload=upload)
    seer.drain()
    assert states(upload) == {"red.png": ("done", "")}


def test_files_that_wait_for_long_are_deleted(collection: Collection, seer: ColourWorker, media: Path) -> None:
    def paused(days: int) -> Upload:
        upload = uploads.begin(collection=collection)
        uploads.pause(upload=upload)
        uploads.receive(upload=upload, files=files({"red.png": png("red"), "all.zip": packed({"a.png": png("blue")})}))
        Upload.objects.filter(pk=upload.pk).update(created_at=timezone.now() - timedelta(days=days))
        return upload

    old, refused, young = paused(8), paused(8), paused(6)
    refused.items.update(state="failed", error="no room")
    cache.delete("search:expired")
    reading.sweep()
    gone = ("failed", "The file was not read within 7 days and is deleted. Send it again.")
    assert states(old) == states(refused) == {"red.png": gone, "all.zip": gone}
    assert set(states(young).values()) == {("waiting", "")}
    assert sum(path.is_file() for path in (media / "search/incoming").rglob("*")) == 2
    assert uploads.retry(upload=old) == 0


def test_bytes_count_against_limits_and_are_given_back(collection: Collection, seer: ColourWorker, owner: User) -> None:
    quotas.set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.STORED_BYTES, window=Window.NOW, amount=10,
                     actor=None)  # fmt: skip
    upload = fill(collection, seer, {"red.png": png("red")})
    [(state, error)] = states(upload).values()
    assert state == "failed" and "limit" in error.lower()
    assert not Picture.objects.exists()
    quotas.set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.STORED_BYTES, window=Window.NOW,
                     amount=10**6, actor=None)  # fmt: skip
    assert uploads.retry(upload=upload) == 1
    seer.drain()
    picture = Picture.objects.get()
    pictures.delete(pictures=[picture])
    assert sum(LedgerEntry.objects.values_list("stored_bytes", flat=True)) == 0
    assert (picture.bytes > 0, vectors.count(collection.indexes.get())) == (True, 0)


def test_deleting_a_collection_leaves_nothing(filled: Collection, media: Path) -> None:
    from django.db import connection

    index = filled.indexes.get()
    filled.delete()
    assert [path for path in media.rglob("*") if path.is_file()] == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM search_vector")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT to_regclass(%s)", [f"search_vector_{index.pk}"])
        assert cursor.fetchone() == (None,)


def test_where_one_file_cannot_be_kept_none_stays(collection: Collection, media: Path) -> None:
    class Cut(SimpleUploadedFile):
        def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
            raise OSError(errno.ENOSPC, "No space left on device")

    upload = uploads.begin(collection=collection)
    sent = [*files({"a.png": png("red")}), Cut("b.png", png("blue"))]
    with pytest.raises(OSError, match="No space left"):
        uploads.receive(upload=upload, files=sent)
    assert not upload.items.exists()
    assert [path for path in media.rglob("*") if path.is_file()] == []
