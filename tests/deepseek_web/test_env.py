"""Settings from the environment and from VAR/env."""

import os
from pathlib import Path

import pytest

from deepseek_web import env
from deepseek_web.launch import environment

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def same_environment_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLOUR", "OTHER"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_env_file_fills_gaps_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "env").write_text("# a comment\nCOLOUR=blue\n\nOTHER = a=b \nnonsense\n")
    monkeypatch.setenv("COLOUR", "red")
    env.load_env_file(tmp_path / "env")
    assert (os.environ["COLOUR"], os.environ["OTHER"]) == ("red", "a=b")


def test_env_file_that_is_absent_changes_nothing(tmp_path: Path) -> None:
    env.load_env_file(tmp_path / "env")
    assert "COLOUR" not in os.environ


def test_missing_setting_says_what_to_do() -> None:
    with pytest.raises(env.EnvError, match="COLOUR is not set. Start the servers with `make run`"):
        env.env("COLOUR")


@pytest.mark.parametrize(("text", "value"), [("1", True), ("yes", True), ("TRUE", True), ("0", False), ("no", False)])
def test_bool_is_read(text: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOUR", text)
    assert env.env_bool("COLOUR", default=not value) is value


@pytest.mark.parametrize("read", [env.env_bool, lambda name: env.env_int(name, 1)])
def test_nonsense_names_the_setting(read: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLOUR", "blue")
    with pytest.raises(env.EnvError, match="COLOUR must be .*'blue'"):
        read("COLOUR")


def test_written_file_keeps_own_lines_and_secret(tmp_path: Path) -> None:
    path = tmp_path / "env"
    first = environment.write(path, {"DATABASE_URL": "a", "REDIS_URL": "b"})
    path.write_text(path.read_text() + "SIGNUP_OPEN=0\n")
    second = environment.write(path, {"DATABASE_URL": "c"})
    assert second == {**first, "DATABASE_URL": "c", "SIGNUP_OPEN": "0"}
    assert environment.read(path) == second
    assert path.stat().st_mode & 0o777 == 0o600


def test_children_do_not_inherit_django(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "deepseek_web.settings")
    monkeypatch.setenv("COLOUR", "mine")
    children = environment.for_children(tmp_path, {"COLOUR": "theirs", "OTHER": "theirs"})
    assert "DJANGO_SETTINGS_MODULE" not in children
    assert (children["COLOUR"], children["OTHER"], children["VAR_DIR"]) == ("mine", "theirs", str(tmp_path))
