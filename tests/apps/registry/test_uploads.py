"""Uploads land below IMPORT_ROOTS, and nowhere else."""

import io
import stat
import zipfile
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.registry import uploads, zips
from apps.registry.services import InvalidImport
from apps.registry.uploads import save_upload

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def root(tmp_path: Path, settings) -> Path:
    settings.IMPORT_ROOTS = [str(tmp_path / "imports")]
    settings.IMPORT_MAX_GB = 0.01
    return tmp_path / "imports"


def archive(*files: tuple[str | zipfile.ZipInfo, bytes]) -> SimpleUploadedFile:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files:
            made.writestr(name, content)
    return SimpleUploadedFile("model.zip", raw.getvalue())


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def test_a_file_is_kept_under_its_own_name(root: Path) -> None:
    path = Path(save_upload(upload=SimpleUploadedFile("../my model.gguf", b"GGUF")))
    assert (path.name, path.read_bytes(), path.parent.parent) == ("my_model.gguf", b"GGUF", root)


def test_an_archive_becomes_a_folder() -> None:
    flat = Path(save_upload(upload=archive(("config.json", b"{}"), ("sub/a.json", b"[]"))))
    assert sorted(path.name for path in flat.rglob("*.json")) == ["a.json", "config.json"]
    nested = Path(save_upload(upload=archive(("tiny/config.json", b"{}"))))
    assert (nested.name, (nested / "config.json").read_bytes()) == ("tiny", b"{}")


def test_a_table_of_contents_that_fills_memory_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = archive(("a", b""), ("b", b""))
    monkeypatch.setattr(zips, "MOST_BYTES", 50)
    monkeypatch.setattr(uploads.zipfile, "ZipFile", None)  # nobody gets that far
    with pytest.raises(InvalidImport, match="too many"):
        save_upload(upload=upload)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("upload", "words"),
    [
        (SimpleUploadedFile("model.bin", b"x"), "Upload a .gguf"),
        (SimpleUploadedFile("model.zip", b"PK no archive"), "cannot be read"),
        (archive(("../evil", b"x")), "outside"),
        (archive(("/evil", b"x")), "outside"),
        (archive(("a/../../evil", b"x")), "outside"),
        (archive(("a\\..\\evil", b"x")), "outside"),
        (archive((link(), b"/etc/passwd")), "is a link"),
        (archive(("bomb", bytes(5 * 10**6))), "larger than"),
        (archive(("a", bytes(6 * 10**6)), ("b", bytes(6 * 10**6))), "larger than"),
        (archive(*((str(number), b"") for number in range(2001))), "too many"),
        (archive(("same", b"1"), ("same", b"2")), "cannot be read"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_refused_leaves_nothing(root: Path, upload: SimpleUploadedFile, words: str) -> None:
    with pytest.raises(InvalidImport, match=words):
        save_upload(upload=upload)
    assert list(root.iterdir()) == []
    assert [path.name for path in root.parent.iterdir()] == ["imports"]
