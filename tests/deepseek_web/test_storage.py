"""Files that people send are kept whole or not at all."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile, File

from deepseek_web.storage import WholeFiles


class Cut(ContentFile):
    """As on a disk that is full after the first part."""

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield b"half"
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def files(tmp_path: Path) -> WholeFiles:
    return WholeFiles(location=tmp_path)


def names(files: WholeFiles) -> list[str]:
    return sorted(str(path.relative_to(files.location)) for path in Path(files.location).rglob("*") if path.is_file())


def test_of_a_file_that_cannot_be_written_nothing_stays(files: WholeFiles) -> None:
    with pytest.raises(OSError, match="No space left"):
        files.save("incoming/picture", Cut(b""))
    assert names(files) == []


def test_two_files_of_a_name_are_two(files: WholeFiles) -> None:
    first, second = (files.save("incoming/picture", ContentFile(content)) for content in (b"a", b"b"))
    assert (files.open(first).read(), files.open(second).read()) == (b"a", b"b")
    assert names(files) == sorted([first, second])


def test_who_is_slower_gets_another_name(files: WholeFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    files.save("picture", ContentFile(b"first"))
    name = files._save("picture", ContentFile(b"second"))  # had been free when it was asked for
    assert name != "picture"
    assert (files.open("picture").read(), files.open(name).read()) == (b"first", b"second")
    assert names(files) == sorted(["picture", name])


def test_a_large_upload_is_moved(files: WholeFiles, tmp_path: Path) -> None:
    source = tmp_path / "upload"
    source.write_bytes(b"large")
    with source.open("rb") as opened:
        content = File(opened, name="upload")
        content.temporary_file_path = lambda: str(source)  # type: ignore[attr-defined]
        name = files.save("kept", content)
    assert files.open(name).read() == b"large"
    assert names(files) == ["kept"]
