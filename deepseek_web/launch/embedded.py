"""Throw-away PostgreSQL and Valkey for tests and checks: no process manager, nothing durable."""

import contextlib
import functools
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.postgres import UNSAFE_BUT_FAST, Postgres
from deepseek_web.launch.screen import last_words
from deepseek_web.launch.valkey import Valkey


class Embedded:
    """Both servers in a temporary folder."""

    def __init__(self) -> None:
        self.var = Path(tempfile.mkdtemp(prefix="deepseek-web-test-"))
        self.var.chmod(0o711)
        options = tuple(UNSAFE_BUT_FAST.items())
        self.postgres = Postgres(self.var / "postgres", self.var / "socket", options)
        self.valkey = Valkey.at(self.var / "valkey", durable=False)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def environment(self) -> dict[str, str]:
        """The settings that make Django use these servers and nothing of the user's."""
        return {
            "VAR_DIR": str(self.var),
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "SECRET_KEY": secrets.token_urlsafe(48),
        }

    def start(self) -> None:
        self.start_server("postgres", self.postgres)
        self.start_server("valkey", self.valkey)

    def start_server(self, name: str, server: Postgres | Valkey) -> None:
        server.prepare()
        log = self.var / f"{name}.log"
        process = self.processes[name] = subprocess.Popen(
            server.command(), cwd="/", stdin=subprocess.DEVNULL, stdout=log.open("ab"), stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        server.wait_until_ready(functools.partial(check, name, process, log))

    def stop_server(self, name: str) -> None:
        """At once; PostgreSQL ends the sessions of its clients."""
        process = self.processes[name]
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()

    def stop(self) -> None:
        for name in self.processes:
            self.stop_server(name)
        shutil.rmtree(self.var, ignore_errors=True)


def check(name: str, process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        raise LaunchError(f"{name} does not stay up. Its last words:\n{last_words(log)}")


@contextlib.contextmanager
def embedded() -> Iterator[Embedded]:
    servers = Embedded()
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()
