"""ZIP files of pictures, unpacked a few entries at a time. Names in them are names, never paths."""

import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from django.conf import settings

from apps.registry import zips

MOST_ENTRIES = 50_000
_MOST_EXPANSION = 200  # times; pictures are packed already
_SMALL = 2**20  # bytes: what is smaller may expand as it likes


class UnreadableArchive(Exception):
    """Says why in a sentence (apps/serving/sentences.py)."""


def clean_name(name: str) -> str:
    """The last part of a path of any system, without what cannot be seen."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    seen = "".join(letter for letter in last if unicodedata.category(letter) not in ("Cc", "Cs", "Co"))
    # Letters that turn the direction of writing hide what a name ends in.
    seen = "".join(letter for letter in seen if unicodedata.bidirectional(letter) not in _TURNING)
    stem, dot, extension = seen.strip().rpartition(".")
    if not dot or len(extension) > 10:
        return seen.strip()[:200] or "?"
    return f"{stem[: 199 - len(extension)]}.{extension}"


_TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def is_archive(name: str) -> bool:
    return name.lower().endswith(".zip")


def open_archive(file: IO[bytes]) -> zipfile.ZipFile:
    """Raises UnreadableArchive for what is none, or is made to fill a disk."""
    try:
        count, size = zips.table_of_contents(file)
        _check_count(count)
        if size > zips.MOST_BYTES:
            raise UnreadableArchive(f"The archive's table of contents is larger than {zips.MOST_BYTES // 2**20} MB.")
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UnreadableArchive("The file is damaged or no ZIP file.") from error
    entries = archive.infolist()
    _check_count(len(entries))
    size, most = sum(entry.file_size for entry in entries), settings.SEARCH_MAX_ARCHIVE_MB
    if size > most * 2**20:
        raise UnreadableArchive(f"The archive unpacks to {size // 2**20:,} MB; at most {most:,} MB are unpacked.")
    return archive


def _check_count(count: int) -> None:
    if count > MOST_ENTRIES:
        raise UnreadableArchive(f"The archive has {count:,} entries; at most {MOST_ENTRIES:,} are unpacked.")


def entries(archive: zipfile.ZipFile, start: int) -> Iterator[tuple[int, str, bytes | str]]:
    """From one place on: place, name, and the content or the sentence why there is none. Folders and what systems put
    beside files are left out."""
    for place, entry in enumerate(archive.infolist()[start:], start):
        name = clean_name(entry.filename)
        if entry.is_dir() or name.startswith(".") or entry.filename.startswith("__MACOSX/"):
            continue
        yield place, name, _content(archive, entry)


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | str:
    most = settings.SEARCH_MAX_FILE_MB
    if entry.flag_bits & 1:
        return "The file is encrypted inside the archive."
    if is_archive(entry.filename):
        return "An archive inside an archive is not unpacked."
    if entry.file_size > most * 2**20:
        return f"The file is larger than {most} MB."
    if entry.file_size > max(_SMALL, _MOST_EXPANSION * entry.compress_size):
        return f"The file expands to {entry.file_size // max(entry.compress_size, 1):,} times its size: not unpacked."
    try:
        with archive.open(entry) as file:
            content = file.read(entry.file_size + 1)  # no more than it says, whatever there is
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
        return "The file is damaged inside the archive."
    return content if len(content) == entry.file_size else "The file is damaged inside the archive."
