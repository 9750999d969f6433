"""VAR: where it lies, whether it can be written, and names too long for sockets."""

import os
import re
from pathlib import Path

import pytest

from deepseek_web.env import BASE_DIR
from deepseek_web.launch import folders as module
from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.folders import LONGEST_SOCKET_FOLDER, Folders

pytestmark = pytest.mark.unit


def test_relative_name_is_below_the_checkout() -> None:
    assert Folders.at("var").var == BASE_DIR / "var"
    assert Folders.at("/tmp/with blank").var == Path("/tmp/with blank")


def test_name_that_supervisor_would_cut_is_refused() -> None:
    with pytest.raises(LaunchError, match="remove the blank"):
        Folders.at("/tmp/a #b")


def test_long_name_gets_sockets_elsewhere(tmp_path: Path) -> None:
    long = Folders(tmp_path / ("x" * 80) / ("y" * 80))
    long.create()
    assert len(os.fsencode(long.sockets)) <= LONGEST_SOCKET_FOLDER
    assert long.sockets.stat().st_uid == os.getuid()
    long.sockets.rmdir()


def test_sockets_of_somebody_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(LaunchError, match="belongs to another user"):
        module.check_owner(tmp_path / "link")


def test_the_folders_that_a_backup_names_are_there(tmp_path: Path) -> None:
    Folders(tmp_path / "var").create()
    page = (module.BASE_DIR / "docs/operations/backup.md").read_text(encoding="utf8")
    named = re.findall(r"tar --create .*?--file=files.tar.gz (.*)", page)[0].split()
    assert [name for name in named if not (tmp_path / name).exists()] == ["var/env"]  # which the start writes


def test_file_in_the_way_is_reported(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(LaunchError, match=r"VAR=.*/var cannot be written: .*make run VAR="):
        Folders(tmp_path / "var").create()


def test_full_disk_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"GB are free on the disk of .*; a start needs 1e\+09 GB"):
        Folders(tmp_path).check_space(1e9, "a start")
