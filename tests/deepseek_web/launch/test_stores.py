"""The embedded servers: addresses, folders with blanks, data of another release, leftovers."""

import signal
import subprocess
from pathlib import Path

import psycopg
import pytest
import redis

from deepseek_web.launch import processes
from deepseek_web.launch.embedded import Embedded, embedded
from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.postgres import Postgres
from deepseek_web.launch.valkey import Valkey

pytestmark = pytest.mark.integration


def test_both_answer_and_leave_nothing() -> None:
    with embedded() as servers:
        with psycopg.connect(servers.postgres.url) as connection:
            connection.execute("CREATE EXTENSION vector; CREATE EXTENSION pg_trgm")
            (distance,) = connection.execute("SELECT '[1,2]'::vector <-> '[1,4]'::vector").fetchone()
        policy = redis.Redis.from_url(servers.valkey.url).config_get("maxmemory-policy")
        assert (distance, policy) == (2.0, {"maxmemory-policy": "noeviction"})
        running = list(servers.processes.values())
    assert [process.poll() is not None for process in running] == [True, True]
    assert not servers.var.exists()


def test_valkey_refuses_those_without_the_password() -> None:
    servers = Embedded()
    try:
        servers.start()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=servers.valkey.port).ping()
    finally:
        servers.stop()


def test_valkey_keeps_its_data(tmp_path: Path) -> None:
    for expected in (None, b"1"):
        server = Valkey.at(tmp_path / "with blank")
        server.prepare()
        process = subprocess.Popen(server.command(), stdout=subprocess.DEVNULL)
        server.wait_until_ready(lambda: None)
        assert server.leftover_pid() == process.pid
        with redis.Redis.from_url(server.url) as client:
            assert client.get("key") == expected
            client.set("key", 1)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert server.leftover_pid() is None


def test_postgres_data_of_another_release_are_not_touched(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres", tmp_path / "sockets")
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("13\n")
    with pytest.raises(LaunchError, match=r"holds data of PostgreSQL 13 and this release brings 18\..*pg_dump"):
        server.prepare()


def test_interrupted_initdb_is_done_again(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "with blank", tmp_path / "sockets")
    server.data.mkdir(parents=True)
    (server.data / "base").mkdir()
    (server.data / "half").write_text("")
    server.prepare()
    assert (server.data / "PG_VERSION").read_text().strip() == "18"


def test_pid_of_something_else_is_no_leftover(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "30"]) as other:
        (tmp_path / "pid").write_text(f"{other.pid}\n")
        assert processes.running(tmp_path / "pid", tmp_path) is None
        assert processes.running(tmp_path / "none", tmp_path) is None
        processes.end(other.pid, signal.SIGTERM, 5)
        assert other.wait(5) == -signal.SIGTERM
