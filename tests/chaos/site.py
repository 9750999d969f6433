"""An installation whose parts can be taken away: `make run` on stores of its own, with proxies between."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis
import requests

from benchmarks import inhabited
from benchmarks.anomaly_outages import kill
from benchmarks.anomaly_plant import make_asset
from benchmarks.inhabited import CHAT, PICTURES, Tenant
from benchmarks.outages import wait_for_rest
from benchmarks.site import EMAIL, PASSWORD, python
from deepseek_web.launch import supervisor
from deepseek_web.launch.embedded import Embedded
from deepseek_web.launch.environment import for_children
from deepseek_web.launch.folders import Folders
from deepseek_web.launch.procfile import processes
from deepseek_web.launch.valkey import Valkey
from tests.chaos.proxy import Proxy
from tests.chaos.traffic import Person, Program, Trickle
from tests.e2e.stack import ROOT, begin_stack, environment, wait_until_ready

FAKETIME = (  # Debian: apt install libfaketime
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"),
    Path("/usr/lib64/faketime/libfaketimeMT.so.1"),
)
DATABASE_MB, MEDIA_MB = 700, 24  # of disks that can be filled
_BEGIN = 1_750_000_000.0  # of old readings; each feeder begins behind the one before
_KEPT = """
from apps.anomaly.models import Reading, Sensor
mine = list(Sensor.objects.filter(asset={asset!r}).values_list("pk", flat=True))
print(Reading.objects.filter(sensor_id__in=mine).count())
"""
_LEDGER = """
from apps.accounts.models import User
from apps.quotas.models import LedgerEntry
mine = LedgerEntry.objects.filter(user_id=User.objects.get(email={email!r}).pk, kind="text-generation")
print(mine.count())
"""


class Disk:
    """A file system of a few megabytes at a folder, where root may mount one; it can be filled and emptied."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", str(folder)]
        self.is_mounted = (
            os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
        )

    @contextmanager
    def full(self) -> Iterator[None]:
        filler = self.folder / "filler"
        try:
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while file.write(bytes(65536)):
                    pass
            yield
        finally:
            filler.unlink(missing_ok=True)

    def stop(self) -> None:
        if self.is_mounted:
            subprocess.run(["umount", "--lazy", str(self.folder)], capture_output=True, check=False)


class Site:
    """Use as a context manager. `var` keeps the converted chat model for the next time."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self._stack = ExitStack()
        self._begin = _BEGIN

    def __enter__(self) -> Site:
        with ExitStack() as stack:
            self._enter(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _enter(self, stack: ExitStack) -> None:
        self.stores = Embedded()
        stack.callback(self.stores.stop)
        self.stores.valkey = Valkey.at(self.stores.var / "valkey")  # keeps its data
        self.database_disk = Disk(self.stores.var / "postgres", DATABASE_MB)
        stack.callback(self.database_disk.stop)
        shutil.rmtree(self.var / "media", ignore_errors=True)
        self.media_disk = Disk(self.var / "media", MEDIA_MB)
        stack.callback(self.media_disk.stop)
        self.stores.start()
        self.redis_proxy = Proxy(self.stores.valkey.port)
        self.database_proxy = Proxy(str(self.stores.postgres.sockets / ".s.PGSQL.5432"))
        settings = {
            "REDIS_URL": self.stores.valkey.url.replace(f":{self.stores.valkey.port}/", f":{self.redis_proxy.port}/"),
            "DATABASE_URL": f"postgresql://deepseek_web@127.0.0.1:{self.database_proxy.port}/deepseek_web",
            "SKIP_MODEL": "1",  # only what is asked here is loaded
            "ANOMALY_DEMO": "0",
        }
        self.settings = settings
        self.stack = begin_stack(self.var, **settings)
        stack.callback(self.stack.stop)
        self._wait_for_pages()
        self._inhabit()

    def _wait_for_pages(self) -> None:
        until = time.monotonic() + 300
        while time.monotonic() < until:
            with suppress(requests.RequestException):
                if requests.get(f"{self.url}/healthz", timeout=5).ok and "Ready in" in self._said():
                    return
            assert self.stack.process is not None
            assert self.stack.process.poll() is None, self._said()
            time.sleep(0.3)
        raise RuntimeError(f"the stack did not start:\n{self._said()[-2000:]}")

    def _said(self) -> str:
        return (self.var / "e2e.log").read_text(errors="replace")

    def _inhabit(self) -> None:
        self.stack.manage("create_admin", "--email", EMAIL, "--password", PASSWORD)
        emails = ["program@example.com", "person@example.com", EMAIL]
        self.program, self.person, self.administrator = inhabited.make_people(self.stack, emails, PASSWORD)
        inhabited.deploy(self.stack, (CHAT, PICTURES), self.var / "artifacts", self.program.key)
        wait_until_ready(self.stack)
        self.asset, self.many = (make_asset(self.stack, name, 10) for name in ("Old readings", "Many readings"))

    @property
    def url(self) -> str:
        return self.stack.url

    @property
    def store(self) -> redis.Redis:
        return redis.Redis.from_url(self.stores.valkey.url, decode_responses=True)

    # --- what can be taken away

    def kill(self, name: str) -> None:
        assert kill(self.stack, name), f"no {name} was running"

    def stop_store(self, name: str) -> None:
        self.stores.stop_server(name)

    def start_store(self, name: str) -> None:
        self.stores.start_server(name, getattr(self.stores, name))

    @contextmanager
    def another(self, name: str, **settings: str) -> Iterator[None]:
        """A process of the Procfile in the place of the one under supervision, with settings of its own."""
        supervisor.call(Folders(self.var), "stopProcess", f"{supervisor.APPLICATION}:{name}")
        known = {**environment(self.var), **self.settings, "PORT": self.url.rpartition(":")[2], **settings}
        process = subprocess.Popen(
            ["sh", "-c", f"exec {processes()[name]}"], cwd=ROOT, env={**for_children(self.var, {}), **known,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **self._secret()},
            stdout=(self.var / "log" / f"{name}-other.log").open("wb"), stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            supervisor.call(Folders(self.var), "startProcess", f"{supervisor.APPLICATION}:{name}")

    def _secret(self) -> dict[str, str]:
        lines = (self.var / "env").read_text().splitlines()
        return {"SECRET_KEY": next(line.partition("=")[2] for line in lines if line.startswith("SECRET_KEY="))}

    @staticmethod
    def clock(seconds: float) -> dict[str, str]:
        """Settings of a process whose wall clock is off; what it measures time with is not."""
        library = next(path for path in FAKETIME if path.exists())
        return {"LD_PRELOAD": str(library), "FAKETIME": f"{seconds:+g}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    @contextmanager
    def files_of_no_size(self, name: str) -> Iterator[None]:
        """Where no disk can be mounted: the process may write no file (RLIMIT_FSIZE), which is not the same."""
        assert self.stack.process is not None
        mine = [
            one
            for one in psutil.Process(self.stack.process.pid).children(recursive=True)
            if shlex.split(processes()[name])[0] in " ".join(one.cmdline())
        ]
        before = {one: one.rlimit(psutil.RLIMIT_FSIZE) for one in mine}
        for one, (_, hard) in before.items():
            one.rlimit(psutil.RLIMIT_FSIZE, (0, hard))
        try:
            yield
        finally:
            for one, limits in before.items():
                with suppress(psutil.Error):
                    one.rlimit(psutil.RLIMIT_FSIZE, limits)

    # --- what is looked at

    def until_answered(self, tenant: Tenant | None = None, seconds: float = 180) -> float:
        """Seconds until a short question is answered by the chat model."""
        began = time.monotonic()
        body = {"model": CHAT, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
        said = ""
        while time.monotonic() - began < seconds:
            try:
                headers = (tenant or self.program).headers
                answer = requests.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=60)
                if answer.status_code == 200:
                    return time.monotonic() - began
                said = answer.text
            except requests.RequestException as error:
                said = str(error)
            time.sleep(0.2)
        raise AssertionError(f"not answered after {seconds:g} s: {said[:300]}")

    def python(self, code: str) -> str:
        return python(self.stack, code).strip().splitlines()[-1]

    def kept_readings(self, asset: str = "") -> int:
        return int(self.python(_KEPT.format(asset=asset or self.asset)))

    def entries(self, tenant: Tenant) -> int:
        """Of the ledger: what was counted for somebody."""
        return int(self.python(_LEDGER.format(email=tenant.email)))

    @contextmanager
    def traffic(self) -> Iterator[Traffic]:
        """People and programs at work; they stop, with what they have begun, at the end."""
        self._begin += 1_000_000
        traffic = Traffic(self, self._begin)
        try:
            yield traffic
        finally:
            traffic.stop()


class Traffic:
    def __init__(self, site: Site, begin: float) -> None:
        self.site = site
        self.programs = [Program(site.url, site.program.key, CHAT) for _ in range(2)]
        self.person = Person(site.url, site.person.key, CHAT)
        self.feeder = Trickle(site.stack, site.asset, begin)
        self._kept, self._entries = site.kept_readings(), site.entries(site.person)
        for one in self.all:
            one.start()

    @property
    def all(self) -> list[Any]:
        return [*self.programs, self.person, self.feeder]

    @property
    def answered(self) -> int:
        return sum(one.answered for one in [*self.programs, self.person])

    def more(self, count: int, seconds: float = 120) -> None:
        """Wait until each kind of client has had so many more answers."""
        wanted = [(one, one.answered + count) for one in (self.programs[0], self.person)]
        until = time.monotonic() + seconds
        while any(one.answered < least for one, least in wanted):
            assert time.monotonic() < until, {type(one).__name__: (one.answered, one.lost) for one, _ in wanted}
            time.sleep(0.2)

    def stop(self) -> None:
        for one in self.all:
            one.stop()
        for one in self.all:
            one.join(240)

    def result(self) -> dict[str, Any]:
        """Once it has stopped and everything has come to rest."""
        clients = [*self.programs, self.person]
        left = wait_for_rest(self.site.store)
        return {
            "answered": self.answered,
            "lost": [said for one in clients for said in one.lost],
            "dishonest": [said for one in clients for said in one.dishonest],
            "doubled": self.person.doubled(),
            "failed": self.person.failed,
            "said": {name: sum(one.said[name] for one in clients) for name in {n for one in clients for n in one.said}},
            "readings_sent": self.feeder.sent,
            "readings_kept": self.site.kept_readings() - self._kept,
            "messages": len(self.person.conversations),
            "entries": self.site.entries(self.site.person) - self._entries,
            "left": {name: count for name, count in left.items() if count},
        }
