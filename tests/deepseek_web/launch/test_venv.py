"""Setting up .venv: what pip says becomes a sentence, and nothing happens twice."""

import sys
from pathlib import Path

import pytest

from deepseek_web.launch import venv

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "a download arrived broken"),
        ("pip._vendor.urllib3.exceptions.IncompleteRead: IncompleteRead(3 bytes read)", "a download arrived broken"),
        ("WARNING: Retrying after connection broken by 'NewConnectionError(...)'", "index cannot be reached"),
        ("error: command 'gcc' failed: No such file or directory", "apt install build-essential"),
        ("ERROR: Could not find a version that satisfies a (from versions: none)", "cannot be reached, or does not"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no fitting build of a package for Python 3."),
        ("Collecting a\nERROR: something else entirely", "ERROR: something else entirely"),
        ("", "it gave no reason."),
    ],
)
def test_failure_is_explained(output: str, words: str) -> None:
    assert words in venv.explain(output)


def test_other_python_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(venv.SetupError, match=r"Python 3\.9\.2 .* cannot be used.*make run PYTHON="):
        venv.check_python()


def test_missing_venv_module_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(venv.SetupError, match=r"apt install python3\.\d+-venv"):
        venv.check_python()


def test_full_disk_is_seen_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv, "NEEDED_GB", 10**9)
    with pytest.raises(venv.SetupError, match="GB are free on the disk"):
        venv.check_space()


def test_installs_once_for_the_same_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, done = tmp_path / "lock.txt", []
    lock.write_text("a==1\n")
    monkeypatch.setattr(venv, "VENV", tmp_path)
    monkeypatch.setattr(venv, "ROOT", tmp_path)
    monkeypatch.setattr(venv, "NEEDED_GB", 0)
    monkeypatch.setattr(venv, "works", lambda: True)
    for text in ("a==1\n", "a==1\n", "a==2\n"):
        lock.write_text(text)
        venv.ensure(".runtime", ["lock.txt"], lambda text=text: done.append(text))
    assert done == ["a==1\n", "a==2\n"]


def test_failed_install_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lock.txt").write_text("a==1\n")
    monkeypatch.setattr(venv, "VENV", tmp_path)
    monkeypatch.setattr(venv, "ROOT", tmp_path)
    monkeypatch.setattr(venv, "NEEDED_GB", 0)
    monkeypatch.setattr(venv, "works", lambda: True)

    def fail() -> None:
        raise venv.SetupError("broken")

    with pytest.raises(venv.SetupError):
        venv.ensure(".runtime", ["lock.txt"], fail)
    assert not (tmp_path / ".runtime").exists()
