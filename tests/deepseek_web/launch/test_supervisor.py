"""The Procfile and the supervisor configuration made from it."""

import configparser
import shlex
from pathlib import Path

import pytest

from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.procfile import become, processes
from deepseek_web.launch.supervisor import configuration

pytestmark = pytest.mark.unit


def parse(**stores: list[str]) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=True)
    parser.read_string(configuration(stores=stores, application=processes(), user="me"))
    return parser


def test_procfile_has_the_five_processes() -> None:
    assert list(processes()) == ["web", "worker", "worker-train", "worker-app", "beat"]


def test_comments_and_blank_lines_are_no_processes(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("# one: two\n\nweb: serve --port ${PORT:-1}\n")
    assert processes(tmp_path / "Procfile") == {"web": "serve --port ${PORT:-1}"}


def test_unknown_process_names_the_known_ones() -> None:
    with pytest.raises(
        LaunchError, match="There is no process 'webb'; the Procfile has web, worker, worker-train, worker-app, beat"
    ):
        become("webb")


@pytest.mark.parametrize("name", list(processes()))
def test_program_runs_the_line_of_the_procfile(name: str) -> None:
    program = parse()[f"program:{name}"]
    command = shlex.split(program["command"].replace("%%", "%"))
    assert command[-3:] == ["sh", "-c", f"exec {processes()[name]}"]
    assert (program["autorestart"], program["stopsignal"]) == ("true", "TERM")


def test_stores_outlive_the_processes() -> None:
    parser = parse(postgres=["postgres", "-D", "/a b"], valkey=["valkey-server"])
    assert shlex.split(parser["program:postgres"]["command"]) == ["postgres", "-D", "/a b"]
    assert parser["group:stores"]["programs"] == "postgres,valkey"
    assert parser["group:application"]["programs"] == "web,worker,worker-train,worker-app,beat"
    assert int(parser["group:stores"]["priority"]) < int(parser["group:application"]["priority"])


def test_servers_of_the_user_leave_no_group() -> None:
    assert "group:stores" not in parse()
