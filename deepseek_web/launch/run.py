"""`make run`: from nothing to pages that answer, and back to nothing on Ctrl-C."""

import contextlib
import fcntl
import getpass
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import IO

from deepseek_web.env import BASE_DIR
from deepseek_web.launch import environment, model
from deepseek_web.launch.address import Address
from deepseek_web.launch.errors import LaunchError
from deepseek_web.launch.folders import Folders
from deepseek_web.launch.lessons import Lessons
from deepseek_web.launch.postgres import Postgres
from deepseek_web.launch.processes import end, running
from deepseek_web.launch.procfile import processes
from deepseek_web.launch.screen import Logs, Stage, last_words, say
from deepseek_web.launch.supervisor import APPLICATION, STORES, Supervisor, configuration
from deepseek_web.launch.valkey import Valkey

READY_SECONDS = 120
NEEDED_GB = 1


class Interrupted(Exception):
    """Ctrl-C, `make stop` or a closed terminal."""


class Launch:
    """One run of everything, in the order of its methods."""

    def __init__(self, folders: Folders, address: Address) -> None:
        self.folders, self.address = folders, address
        self.started = time.monotonic()
        self.application = processes()
        self.servers: dict[str, Postgres | Valkey] = {}
        self.lock: IO[str] | None = None
        self.supervisor: Supervisor | None = None
        self.export: model.Export | None = None
        self.lessons: Lessons | None = None
        self.environment: dict[str, str] = {}
        self.administrator = ""

    def run(self) -> None:
        self.claim()
        try:
            self.choose_servers()
            self.start_servers()
            self.prepare()
            self.start_application()
            self.follow()
        finally:
            self.stop()

    def claim(self) -> None:
        """Check everything that can be checked before anything is started."""
        self.folders.create()
        self.lock = take_lock(self.folders)
        self.address.check_free()
        self.folders.check_space(NEEDED_GB, "a start")
        self.lock.truncate(0)
        json.dump({"pid": os.getpid(), "url": self.address.url}, self.lock)
        self.lock.flush()

    def choose_servers(self) -> None:
        """Embedded servers, except where DATABASE_URL or REDIS_URL name others."""
        if not os.environ.get("DATABASE_URL"):
            sockets = self.folders.sockets / "postgres"
            self.servers["postgres"] = Postgres(self.folders.var / "postgres", sockets)
        if not os.environ.get("REDIS_URL"):
            self.servers["valkey"] = Valkey.at(self.folders.var / "valkey")
        names = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL"}
        values = {variable: os.environ.get(variable, "") for variable in names.values()}
        values |= {names[name]: server.url for name, server in self.servers.items()}
        values |= {"HOST": self.address.host, "PORT": str(self.address.port)}
        known = environment.write(self.folders.var / "env", values)
        self.environment = environment.for_children(self.folders.var, known)

    def start_servers(self) -> None:
        self.end_leftovers()
        for server in self.servers.values():
            server.prepare()
        stores = {name: server.command() for name, server in self.servers.items()}
        text = configuration(stores=stores, application=self.application, user=getpass.getuser())
        self.supervisor = Supervisor(self.folders, text, self.environment)
        self.supervisor.start()
        if self.servers:
            self.supervisor.start_group(STORES)
        for server in self.servers.values():
            server.wait_until_ready(self.supervisor.check)

    def end_leftovers(self) -> None:
        """What a killed launcher left running would write to the same files as we do."""
        supervisor = running(self.folders.run / "supervisor.pid", self.folders.run / "supervisord.conf")
        if supervisor:
            say("Ending what an earlier run left behind")
            end(supervisor, signal.SIGTERM, 30)
        for server in self.servers.values():
            if pid := server.leftover_pid():
                end(pid, signal.SIGINT, 30)

    def prepare(self) -> None:
        """Migrate, collect and register; convert the chat model meanwhile when that has not happened yet."""
        assert self.supervisor is not None
        if os.environ.get("SKIP_MODEL"):
            self.run_prepare(None)
            return
        artifact = model.cached(self.folders)
        if artifact is None:
            self.export = model.Export(self.folders, self.environment)
        else:
            self.supervisor.start_program(APPLICATION, "worker")  # loading the model takes longest
        self.run_prepare(artifact)
        if self.export is not None:
            stage = Stage("Preparing the chat model (once)")
            artifact = self.export.wait(stage.update)
            stage.done()
            self.run_prepare(artifact)

    def run_prepare(self, artifact: Path | None) -> None:
        """Run prepare.py; it registers the artifact unless this database has seen it."""
        stamp = self.registered(artifact)
        command = [sys.executable, "-m", "deepseek_web.launch.prepare"]
        if artifact is not None and not stamp.exists():
            command += ["--artifact", str(artifact), "--name", model.NAME, "--title", model.TITLE]
        log = self.folders.log / "prepare.log"
        with log.open("w") as errors:
            done = subprocess.run(
                command, cwd=BASE_DIR, env=self.environment, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            raise LaunchError(f"The database could not be prepared. {log} ends with:\n{last_words(log)}") from None
        if "error" in answer:
            raise LaunchError(answer["error"])
        self.administrator = answer["administrator"] or self.administrator
        if artifact is not None:
            stamp.touch()

    def registered(self, artifact: Path | None) -> Path:
        """Stamp that lies beside the data of the database it speaks of."""
        database = self.servers.get("postgres")
        name = hashlib.sha256(f"{artifact} {'' if database else self.environment['DATABASE_URL']}".encode()).hexdigest()
        folder = database.folder if database else self.folders.run
        return folder / f"registered-{name[:12]}"

    def start_application(self) -> None:
        assert self.supervisor is not None
        self.logs = Logs(self.folders.log, self.application)
        for name in self.application:
            if self.supervisor.states()[name]["statename"] == "STOPPED":
                self.supervisor.start_program(APPLICATION, name)
        pages = "/healthz" if os.environ.get("SKIP_MODEL") else "/readyz"
        deadline = time.monotonic() + READY_SECONDS
        while not self.address.answers(pages) and time.monotonic() < deadline:
            self.supervisor.check()
            time.sleep(0.2)
        self.greet(self.address.answers(pages))

    def greet(self, ready: bool) -> None:
        self.logs.show()
        self.introduce()
        if not ready:
            say(f"\nNot everything answers after {READY_SECONDS} s; {self.folders.log}/worker.log may say why.")
        say(f"\nReady in {time.monotonic() - self.started:.1f} s")
        say(f"{self.address.url}    (Ctrl-C or `make stop` ends it)\n")

    def introduce(self) -> None:
        """Show the one-time password, also when the start fails after it was made."""
        if self.administrator:
            say(f"\n  First {self.administrator}\n  Shown this once. Sign in and change it.")
            self.administrator = ""

    def follow(self) -> None:
        """Show the logs until somebody ends it. What may come later than the pages is made meanwhile."""
        assert self.supervisor is not None
        self.lessons = Lessons(self.folders, self.environment, self.registered(Path("lessons")))
        self.lessons.begin()
        while self.supervisor.alive():
            self.logs.show()
            self.lessons.go_on()
            time.sleep(0.2)
        raise LaunchError(f"The process manager ended; {self.folders.log}/supervisor.log may say why.")

    def stop(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for conversion in (self.export, self.lessons):
            if conversion is not None:
                conversion.stop()
        if self.supervisor is not None:
            say("\nStopping")
            self.supervisor.stop()
            self.introduce()
            say("Stopped")


def take_lock(folders: Folders) -> IO[str]:
    """The kernel gives the lock back when we end, however we end: a stale one cannot be."""
    lock = folders.lock.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        known = holder(folders)
        raise LaunchError(
            f"Already running at {known.get('url', 'an unknown address')} (pid {known.get('pid', 'unknown')}) "
            f"with VAR={folders.var}. Stop it with `make stop VAR={shlex.quote(str(folders.var))}`, "
            "or start another with another VAR and PORT."
        ) from None
    return lock


def holder(folders: Folders) -> dict[str, str]:
    """What the run that has the lock wrote into it."""
    try:
        return dict(json.loads(folders.lock.read_text()))
    except (OSError, ValueError):
        return {}


def interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted


def run(folders: Folders) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    with contextlib.suppress(Interrupted):
        Launch(folders, Address.from_environment()).run()
    return 0
