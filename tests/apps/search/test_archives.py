"""ZIP files that are made to fill memory with their table of contents."""

import io
import struct
import tracemalloc

import pytest

from apps.search import archives

pytestmark = pytest.mark.unit


def contents(count: int) -> io.BytesIO:
    """An archive that is nothing but a table of contents."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, *[0] * 6) + b"a"
    table = entry * count
    return io.BytesIO(table + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, min(count, 7), min(count, 7), len(table), 0, 0))


def test_a_table_of_contents_that_fills_memory_is_not_read() -> None:
    assert len(archives.open_archive(contents(3)).infolist()) == 3
    file = contents(300_000)  # and says that it has seven entries
    tracemalloc.start()
    with pytest.raises(archives.UnreadableArchive, match="table of contents is larger than 8 MB"):
        archives.open_archive(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_more_entries_than_are_unpacked_are_refused() -> None:
    with pytest.raises(archives.UnreadableArchive, match="has 50,001 entries"):
        archives.open_archive(contents(50_001))


@pytest.mark.parametrize("data", [b"", b"PK", bytes(100)])
def test_what_is_no_archive_says_so(data: bytes) -> None:
    with pytest.raises(archives.UnreadableArchive, match="damaged or no ZIP file"):
        archives.open_archive(io.BytesIO(data))
